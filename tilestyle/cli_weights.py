"""`tilestyle weights`: get the weights of trained networks, and see whether they are right."""

from pathlib import Path

import click

from tilestyle.errors import UserError

name_argument = click.argument("name", metavar="NETWORK")


@click.group()
def weights() -> None:
    """Weights of trained networks: list, pull, check, path; see docs/weights.md."""


@weights.command("list")
def list_() -> None:
    """Say which there are: network, size, licence, whether it is here, address."""
    from tilestyle.style.weights import PUBLISHED, cached

    for name, published in PUBLISHED.items():
        size = f"{published.size / 1e6:.0f} MB" if published.size else "80 MB or so"
        here = str(cached(name)) if cached(name).is_file() else "not here"
        click.echo(f"{name:12} {size:12} {published.licence:13} {here}\n{'':12} {published.url}")


@weights.command()
@name_argument
@click.option("--url", help="Of a copy; its contents are checked like the original's.")
def pull(name: str, url: str | None) -> None:
    """Download the weights of NETWORK to where torch keeps them."""
    from tilestyle.style.weights import cached
    from tilestyle.style.weights import pull as pull_weights

    digest = pull_weights(_known(name), url)
    _tell(name, cached(name), digest)


@weights.command()
@name_argument
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check(name: str, file: Path | None) -> None:
    """See whether FILE, or the one in torch's cache, holds the weights of NETWORK."""
    from tilestyle.style.weights import cached
    from tilestyle.style.weights import check as check_weights

    path = file or cached(_known(name))
    digest = check_weights(_known(name), path)
    _tell(name, path, digest)


@weights.command()
@name_argument
def path(name: str) -> None:
    """Print where the weights of NETWORK are looked for."""
    from tilestyle.style.weights import cached

    click.echo(cached(_known(name)))


def _known(name: str) -> str:
    from tilestyle.style.weights import PUBLISHED

    if name not in PUBLISHED:
        raise UserError(f"{name}: no such weights; there are {', '.join(PUBLISHED)}")
    return name


def _tell(name: str, path: Path, digest: str) -> None:
    from tilestyle.style.weights import expected

    known = "as it should be" if expected(name) else "none is known to compare it with"
    click.echo(f"{path}: the weights of {name}; sha256 {digest}, {known}")
