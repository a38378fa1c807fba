"""What all tests share."""

import os
import signal
from collections.abc import Iterator
from typing import NoReturn

import pytest
import torch
from hypothesis import settings

settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, even where tests run in the background of a script, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def missing(what: str) -> NoReturn:
    """Skip a test because of a missing system package; with TILESTYLE_REQUIRE_SERVICES=1, fail."""
    if os.environ.get("TILESTYLE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is missing, and TILESTYLE_REQUIRE_SERVICES=1 asks for it")
    pytest.skip(f"{what} is missing")
