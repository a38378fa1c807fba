"""Files with random damage, read in child processes of 2 GiB: python -m tests.images.fuzz

Each mutation of a file of the corpus has to give pixels or one line with a code: no crash, no
hang, no traceback, and no black image where the undamaged file has none.
"""

import argparse
import multiprocessing
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MEMORY = 2 << 30
# Of waiting for one file: a process may get little of a busy machine.
SECONDS = 300
BATCH = 250


def seeds() -> list[bytes]:
    """Small files of every kind; directories are moved to where they are hit."""
    from tests.images.corpus import cases

    return [case.data for case in cases() if case.expected.any()]


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """A copy with a few changes, most of them in headers and directories."""
    out = bytearray(data)
    spots = _spots(data)
    for _ in range(random.integers(1, 4)):
        kind = random.integers(0, 8)
        at = int(random.choice(spots)) if kind else int(random.integers(4, len(out)))
        if kind <= 1:
            size = int(random.choice([1, 2, 4]))
            out[at : at + size] = bytes(random.choice([0, 0xFF, 0x7F, 0x80], size).tolist())
        elif kind == 2:
            out[at : at + 4] = struct.pack("<I", int(2 ** (32 * random.random())) & 0xFFFFFFFF)
        elif kind == 3 and random.random() < 0.2:
            del out[int(random.integers(16, len(out))) :]
            spots = [spot for spot in spots if spot < len(out)] or [0]
        elif at < len(out):
            out[at] = random.integers(0, 256)
    return bytes(out)


def _spots(data: bytes) -> list[int]:
    """Bytes of the header and of the directories."""
    order, big = "<" if data[:2] == b"II" else ">", b"+" in data[2:4]
    number, width = ("Q", 8) if big else ("I", 4)
    (at,) = struct.unpack_from(order + number, data, 8 if big else 4)
    spots = list(range(4, 16 if big else 8))
    while at and at + 2 < len(data) and at not in spots:
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
        end = at + (8 + 20 * count if big else 2 + 12 * count) + width
        spots += range(at, min(end, len(data)))
        at = struct.unpack_from(order + number, data, end - width)[0] if end <= len(data) else 0
    return spots


def read(path: Path) -> str:
    """What comes of a file: "pixels" or the code of the error; "!" for what must not be."""
    from tilestyle.config import Input
    from tilestyle.errors import UserError
    from tilestyle.images import open_source

    is_black = True
    try:
        # Larger ones are allowed, but would take their time.
        for band in open_source(path, Input(max_pixels=20_000_000)).rows(64):
            is_black = is_black and not band.any()
    except UserError as error:
        if path.name not in str(error) or "\n" in str(error):
            return f"! odd message: {error}"
        return error.code or "no code"
    return "! black" if is_black else "pixels"


def _work(
    seed: int, numbers: range, report: "multiprocessing.SimpleQueue[tuple[int, str]]"
) -> None:
    """Child process: read one batch, and say what came of each file before the next is begun."""
    import logging

    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = seeds()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        for number in numbers:
            path.write_bytes(make(files, seed, number))
            try:
                report.put((number, read(path)))
            except BaseException as error:
                report.put((number, f"! {type(error).__name__}: {error}"))


def make(files: list[bytes], seed: int, number: int) -> bytes:
    """File `number` of a series."""
    random = np.random.default_rng([seed, number])
    return mutated(files[random.integers(len(files))], random)


def run(count: int, seed: int = 0) -> Iterator[tuple[int, str]]:
    """The outcome of every file; those that begin with "!" must not be."""
    context = multiprocessing.get_context("spawn")
    start = 0
    while start < count:
        report = context.SimpleQueue()
        numbers = range(start, min(count, start + BATCH))
        child = context.Process(target=_work, args=(seed, numbers, report), daemon=True)
        child.start()
        deadline = time.monotonic() + SECONDS
        while start < numbers.stop:
            if not report.empty():
                number, outcome = report.get()
                start, deadline = number + 1, time.monotonic() + SECONDS
                yield number, outcome
            elif time.monotonic() > deadline or not child.is_alive():
                hung = child.is_alive()
                child.kill()
                child.join()
                if report.empty():
                    yield start, "! hangs" if hung else f"! crashes ({child.exitcode})"
                    start += 1
                    break
            else:
                time.sleep(0.002)
        child.join(SECONDS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="Folder for the files that fail.")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    files = seeds()
    began = time.monotonic()
    for number, outcome in run(options.count, options.seed):
        outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith("!"):
            print(f"file {number}: {outcome}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                name = options.keep / f"{options.seed}-{number}.tif"
                name.write_bytes(make(files, options.seed, number))
    for outcome, number in outcomes.most_common():
        print(f"{number:7} {outcome}")
    print(f"{options.count} files from {len(files)} seeds in {time.monotonic() - began:.0f} s")
    return int(any(outcome.startswith("!") for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
