"""When to stop: both residuals small, and the objective no longer falling."""

from collections.abc import Sequence
from typing import NamedTuple

WINDOW = 5
"""Iterations over which the objective has to have stalled."""


class Trace(NamedTuple):
    """What an iteration has left to judge by.

    Attributes:
        objective: f(X) at its start.
        primal: RMS of z_i - R_i X where patches overlap, in units of the pixel range.
        dual: RMS of the change of X.
    """

    objective: float
    primal: float
    dual: float


def settled(traces: Sequence[Trace], tolerance: float | None) -> bool:
    """Whether a level has come to rest (Boyd et al. 2011, 3.3.1, and a stall of f).

    ADMM on a problem that is not convex may agree long before it is done, so that small residuals
    alone are no reason to stop; neither is a stall while patches still disagree.

    Args:
        traces: Of the level's iterations, oldest first.
        tolerance: For the residuals, in units of the pixel range, and for the fall of f over the
            last `WINDOW` iterations, as a part of f; None: never.
    """
    if tolerance is None or len(traces) <= WINDOW:
        return False
    before, last = traces[-1 - WINDOW], traces[-1]
    fallen = before.objective - last.objective
    return max(last.primal, last.dual) <= tolerance and fallen <= tolerance * before.objective
