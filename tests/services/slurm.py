"""A real Slurm on loopback: two nodes with fake GPUs; mini-slurm.sh starts and stops it."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("mini-slurm.sh")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol")
PATIENCE = 240


def missing_programs() -> list[str]:
    """The daemons are in /usr/sbin, which is not on everyone's PATH."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return [name for name in PROGRAMS if not shutil.which(name, path=path)]


def wait_for(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come about in {PATIENCE} s"
        time.sleep(0.1)


class Slurm:
    """A cluster of its own, with all its files in one folder; its path must be short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "etc" / "slurm.conf"

    def __enter__(self) -> "Slurm":
        subprocess.run([SCRIPT, "start", self.folder], check=True, timeout=90)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=90)

    def run(self, *command: str | Path, **options: Any) -> str:
        """What a command of Slurm says."""
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60, **options
        )
        said: str = done.stdout
        return said.strip()

    def jobs(self) -> list[str]:
        """Ids of all jobs that wait or run."""
        return self.run("squeue", "--noheader", "--format=%i").split()

    def job(self, number: str) -> dict[str, str]:
        """What Slurm knows of a job, finished or not."""
        said = self.run("scontrol", "--oneliner", "show", "job", number)
        return dict(word.partition("=")[::2] for word in said.split() if "=" in word)

    def ended(self, number: str) -> bool:
        return self.job(number)["JobState"] not in (
            *("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"),
        )
