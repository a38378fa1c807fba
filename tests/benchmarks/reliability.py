"""Workers and drivers killed at random moments: what is repeated, and whether a byte differs.

    python -m tests.benchmarks.reliability [--runs 20] [--only workers] [--folder out/reliability]

Prints one line a run, then the table of docs/reliability.md. Ends with 1 where a byte differs or
more was repeated than was under way.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distributed.chaos import KillWorker

from tests.cluster.faults import LOCAL, repeated, run, runs, start_driver, watched
from tilestyle import pipeline
from tilestyle.cluster.connect import CONFIG, Cluster

WORKERS = 2


@dataclass(frozen=True)
class Outcome:
    """What a run with deaths came to.

    Attributes:
        deaths: Workers or drivers that died.
        tasks: Different tasks.
        again: Tasks that were run once more.
        same: Whether the result is that of the undisturbed run.
        seconds: All of it.
    """

    deaths: int
    tasks: int
    again: int
    same: bool
    seconds: float

    @property
    def good(self) -> bool:
        """A death repeats at most what its workers were at."""
        return self.same and self.again <= WORKERS * self.deaths


def killed_worker(folder: Path, expected: bytes, rng: random.Random) -> Outcome:
    """One worker is killed by SIGKILL while some task of the run is begun."""
    log, deaths = folder / "log", 0

    def kill(cluster: Cluster) -> None:
        nonlocal deaths
        workers = list(cluster.client.run(os.getpid).values())
        moment = rng.randrange(1, 80)

        def wait() -> None:
            nonlocal deaths
            while runs(log).total() < moment:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(rng.choice(workers), signal.SIGKILL)
            deaths += 1

        threading.Thread(target=wait, daemon=True).start()

    return _outcome(folder, expected, lambda: deaths, kill)


def chaos(folder: Path, expected: bytes, rng: random.Random) -> Outcome:
    """Every worker dies after some seconds, and so does the one that takes its place."""
    pids: set[int] = set()

    def plague(cluster: Cluster) -> None:
        cluster.client.register_plugin(KillWorker(delay="8 s", mode="segfault"))

        def census() -> None:
            while cluster.client.status == "running":
                pids.update(cluster.client.run(os.getpid, on_error="ignore").values())
                time.sleep(0.2)

        threading.Thread(target=census, daemon=True).start()

    return _outcome(folder, expected, lambda: max(len(pids) - WORKERS, 0), plague)


def killed_driver(folder: Path, expected: bytes, rng: random.Random) -> Outcome:
    """The driver is killed by SIGKILL, its workers with it, and the same command run again."""
    start, log, output = time.perf_counter(), folder / "log", folder / "r.tif"
    moment = rng.randrange(1, 80)
    with start_driver(output, log, *LOCAL) as driver:
        while driver.poll() is None and runs(log).total() < moment:
            time.sleep(0.005)
        driver.kill()
    with start_driver(output, log, *LOCAL):
        pass
    same = output.exists() and output.read_bytes() == expected
    return Outcome(1, len(runs(log)), repeated(log), same, time.perf_counter() - start)


def _outcome(
    folder: Path, expected: bytes, deaths: Callable[[], int], then: Callable[[Cluster], None]
) -> Outcome:
    start, log = time.perf_counter(), folder / "log"
    setattr(pipeline, "connect", watched(log, then=then))  # noqa: B010
    same = run(folder / "r.tif", *LOCAL) == expected
    return Outcome(deaths(), len(runs(log)), repeated(log), same, time.perf_counter() - start)


STUDIES = {"workers": killed_worker, "chaos": chaos, "drivers": killed_driver}


def main() -> None:
    """Run the studies; print a row of Markdown for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=STUDIES)
    parser.add_argument("--folder", type=Path, default=Path("out/reliability"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # under chaos the same task may be struck often
    CONFIG["distributed.scheduler.allowed-failures"] = 100
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    expected = run(options.folder / "undisturbed.tif")
    rng, rows, good = random.Random(options.seed), [], True
    for name in [options.only] if options.only else STUDIES:
        outcomes = []
        for n in range(options.runs):
            folder = options.folder / f"{name}-{n}"
            folder.mkdir()
            outcome = STUDIES[name](folder, expected, rng)
            print(f"{name} {n}: {outcome}", flush=True)
            outcomes.append(outcome)
            shutil.rmtree(folder)
        good &= all(outcome.good for outcome in outcomes)
        rows.append(
            f"| {name} | {len(outcomes)} | {sum(o.deaths for o in outcomes)} | "
            f"{sum(o.same for o in outcomes)} | {sum(o.tasks for o in outcomes)} | "
            f"{sum(o.again for o in outcomes)} |"
        )
    print(
        "\n| | runs | deaths | same bytes | tasks | of these run again |\n|---|---|---|---|---|---|"
    )
    print("\n".join(rows))
    sys.exit(not good)


if __name__ == "__main__":
    main()
