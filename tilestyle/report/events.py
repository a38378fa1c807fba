"""What a run tells while it goes on; whoever listens shows it or keeps it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StageStarted:
    """A stage begins.

    Attributes:
        stage: ingest, pyramid, stylize, export or score.
        total: Its work, in any unit.
        done: What of it was done before, by a run that was interrupted.
        note: What is special about it, for a person.
    """

    stage: str
    total: float
    done: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Advanced:
    """Some of the stage's work is done."""

    work: float


@dataclass(frozen=True)
class StageFinished:
    """A stage ends."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class LevelStarted:
    """A level begins.

    Attributes:
        level: 0 is the finest.
        levels: How many there are.
        height: Of the level, in pixels.
        width: Of the level, in pixels.
        patches: Patches of the level.
        iterations: T of the level.
    """

    level: int
    levels: int
    height: int
    width: int
    patches: int
    iterations: int


@dataclass(frozen=True)
class PatchDone:
    """One z-update is done."""

    patch: int


@dataclass(frozen=True)
class IterationDone:
    """One iteration is committed.

    Attributes:
        level: 0 is the finest.
        iteration: Number of the iteration in its level, from 1.
        objective: f(X) before the iteration.
        content: Its content term, a mean over patches.
        style: Its style term.
        primal: RMS of z_i - R_i X where patches overlap, in units of the pixel range.
        dual: RMS of the change of X.
        seconds: What the iteration took.
    """

    level: int
    iteration: int
    objective: float
    content: float
    style: float
    primal: float
    dual: float
    seconds: float


@dataclass(frozen=True)
class LevelFinished:
    """A level ends.

    Attributes:
        level: 0 is the finest.
        iterations: That it has taken.
        reason: "steps": all that the config allows; "settled": see `admm.stopping`.
    """

    level: int
    iterations: int
    reason: str


Event = (
    StageStarted
    | Advanced
    | StageFinished
    | LevelStarted
    | LevelFinished
    | PatchDone
    | IterationDone
)
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
