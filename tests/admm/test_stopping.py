"""A level comes to rest when all three say so."""

import pytest

from tilestyle.admm.stopping import WINDOW, Trace, settled

REST = [Trace(1.0, 0.001, 0.001)] * (WINDOW + 1)


def test_at_rest() -> None:
    assert settled(REST, 0.01)


@pytest.mark.parametrize(
    "last",
    [Trace(1.0, 0.02, 0.001), Trace(1.0, 0.001, 0.02), Trace(0.98, 0.001, 0.001)],
    ids=["patches disagree", "X still moves", "f still falls"],
)
def test_not_at_rest(last: Trace) -> None:
    assert not settled([*REST[:-1], last], 0.01)


def test_a_rise_of_the_objective_is_a_stall() -> None:
    assert settled([*REST[:-1], Trace(1.1, 0.001, 0.001)], 0.01)


def test_without_a_tolerance_never() -> None:
    assert not settled([Trace(0.0, 0.0, 0.0)] * 100, None)


def test_too_few_iterations_say_nothing() -> None:
    assert not settled(REST[1:], 0.01)
