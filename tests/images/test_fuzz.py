"""Some hundred files with random damage, in a child process of 2 GiB; fuzz.py does more."""

from collections import Counter

from tests.images.fuzz import run


def test_nothing_but_pixels_and_codes() -> None:
    outcomes = Counter(outcome for _, outcome in run(400, seed=1))
    assert not [outcome for outcome in outcomes if outcome.startswith("!")]
    assert outcomes["pixels"] > 20
    assert outcomes["TIFF_CORRUPT"] > 20
    assert sum(outcomes.values()) == 400
