"""A tiny run, what can go wrong with it, and a count of the tasks that were run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from tilestyle import pipeline
from tilestyle.cluster import records
from tilestyle.cluster.connect import Cluster, connect
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.config import load_config
from tilestyle.images.samples import sample
from tilestyle.report.events import Listener, silent
from tilestyle.store.location import Root, read_key

TINY = {
    "pyramid": {"coarsest": 96},
    "patch": {"core": 128, "overlap": 32, "blend": 16},
    "loss": {
        "style_layers": {"first.0": 1.0, "first.1": 1.0},
        "content_layers": {"first.1": 1.0},
    },
    "solver": {"steps": 4, "min_steps": 3},
    "cluster": {"kind": "threads", "workers": 1},
}
"""6 patches at the finest of two levels: some 90 tasks."""
SIZE = (288, 192)
LOCAL = ("cluster.kind=local", "cluster.workers=2")


def run(
    output: Path, *overrides: str, workspace: Root | None = None, tell: Listener = silent
) -> bytes:
    """The bytes of a tiny run's TIFF."""
    config = load_config(None, overrides, base=TINY)
    images = sample("content", *SIZE), sample("strokes", 128, 96)
    pipeline.run(images[0], [images[1]], output, config, workspace=workspace, tell=tell)
    return output.read_bytes()


class Watch(WorkerPlugin):  # type: ignore[misc]
    """Writes down, in a worker, which tasks are run and which are found done; one may be deadly.

    Args:
        log: The file, which all workers append to.
        poison: A task whose key holds this ends its worker's process.
    """

    name = "watch"

    def __init__(self, log: Path, poison: str | None = None) -> None:
        self.log = log
        self.poison = poison
        self.read = read_key

    def setup(self, worker: Any) -> None:
        setattr(records, "read_key", self)  # noqa: B010

    def teardown(self, worker: Any) -> None:
        setattr(records, "read_key", self.read)  # noqa: B010

    def __call__(self, store: Any, path: str) -> bytes | None:
        found = self.read(store, path)
        with self.log.open("a") as file:
            file.write(f"{'run' if found is None else 'kept'} {path}\n")
        if self.poison and self.poison in path:
            os._exit(9)
        return found


def watched(
    log: Path, poison: str | None = None, then: Callable[[Cluster], None] = lambda _: None
) -> Callable[[ClusterConfig], Any]:
    """In place of `pipeline.connect`: a cluster whose tasks are written down."""

    @contextmanager
    def connected(config: ClusterConfig) -> Iterator[Cluster]:
        with connect(config) as cluster:
            cluster.client.register_plugin(Watch(log, poison))
            then(cluster)
            yield cluster

    return connected


def runs(log: Path) -> Counter[str]:
    """How often each task was run; those found done do not count."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return Counter(path for what, path in lines if what == "run")


def repeated(log: Path) -> int:
    """Tasks that were run more than once, and how often."""
    counts = runs(log)
    return counts.total() - len(counts)


def start_driver(output: Path, log: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """The same run, watched, in a process of its own that can be killed."""
    files = [str(output), str(log)]
    command = [sys.executable, "-m", "tests.cluster.faults", *files, *overrides]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2])


if __name__ == "__main__":
    setattr(pipeline, "connect", watched(Path(sys.argv[2])))  # noqa: B010
    run(Path(sys.argv[1]), *sys.argv[3:])
