"""`python -m tilestyle` is `tilestyle`."""

from tilestyle.cli import main

if __name__ == "__main__":
    main()
