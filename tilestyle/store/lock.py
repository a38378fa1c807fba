"""One driver at a time: the lock of a workspace, and its heartbeat."""

import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil
from zarr.abc.store import Store

from tilestyle.errors import TryAgainError, UserError
from tilestyle.store.location import Root, create_key, delete_key, open_store, read_key, write_key
from tilestyle.store.retry import explained
from tilestyle.store.workspace import LOCK, exists, refuse_foreign

BEAT = 10.0
"""Seconds between heartbeats."""
STALE = 120.0
"""Seconds without one after which a driver on another machine is taken for dead."""
SETTLE = 1.0
"""Seconds that one of several who take over the same stale lock waits, to see who was last."""


@dataclass(frozen=True)
class Holder:
    """Who works on a workspace.

    Attributes:
        host: Its machine.
        pid: Its process.
        started: When the process began, in seconds since 1970: a number that is used again is
            not the same process.
        since: When it took the lock.
        beat: Its last heartbeat.
        nonce: Tells it from all others.
    """

    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=lambda: psutil.Process().create_time())
    since: float = field(default_factory=time.time)
    beat: float = field(default_factory=time.time)
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def alive(self) -> bool:
        """Whether it may still be at work: on this machine its process tells, else its heart."""
        if self.host != socket.gethostname():
            return time.time() - self.beat < STALE
        try:
            process = psutil.Process(self.pid)
            ended = process.status() == psutil.STATUS_ZOMBIE  # and its parent has not looked
            return not ended and abs(process.create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        since, beat = (
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(t)) for t in (self.since, self.beat)
        )
        return f"process {self.pid} on {self.host}, since {since}, last heartbeat {beat}"


def holder(store: Store) -> Holder | None:
    """Who holds a workspace; None: nobody, or a lock that cannot be read."""
    data = read_key(store, LOCK)
    with suppress(ValueError, TypeError):
        return None if data is None else Holder(**json.loads(data))
    return None


@contextmanager
def hold(root: Root) -> Iterator[None]:
    """Keep other drivers off a workspace, which need not be there yet.

    A lock whose holder is dead is taken over. Of a new workspace that is not made after all,
    nothing is left.

    Raises:
        UserError: Something else lies there, nothing can be written, or the disk is full.
        TryAgainError: Another driver is at work, or has taken the lock over meanwhile; or the
            store cannot be reached.
    """
    store = open_store(root)
    try:
        with explained(root):
            if not exists(root):
                refuse_foreign(root)
            mine = _take(root, store)
    except OSError as error:
        raise UserError(f"{root}: cannot be used: {error.strerror or error}") from error
    heart = _Heart(store, mine)
    heart.start()
    try:
        with explained(root):
            yield
    except KeyboardInterrupt:
        if heart.taken is not None:
            raise TryAgainError(f"{root}: was taken over by {heart.taken}") from None
        raise
    finally:
        heart.stop()
        _release(root, store, heart.mine)


def _take(root: Root, store: Store) -> Holder:
    while True:
        mine = Holder()
        create_key(root, LOCK, _encode(mine))
        found = holder(store)
        if found == mine:
            return mine
        if found is None and read_key(store, LOCK) is None:
            continue  # released just now
        if found is not None and found.alive:
            raise TryAgainError(
                f"{root}: another run is at work there: {found}; wait for its end, or stop it"
            )
        # whoever is the last of several to do this has the lock
        mine = Holder()
        write_key(store, LOCK, _encode(mine))
        time.sleep(SETTLE)
        if holder(store) == mine:
            return mine


def _release(root: Root, store: Store, mine: Holder) -> None:
    with suppress(OSError):
        found = holder(store)
        if found is not None and found.nonce == mine.nonce:  # whichever beat was the last
            delete_key(store, LOCK)
        if isinstance(root, Path):
            root.rmdir()  # of a workspace that was not made; another is not empty


def _encode(who: Holder) -> bytes:
    return json.dumps(asdict(who)).encode()


class _Heart(threading.Thread):
    """Beats while the driver works; ends it when another has taken the lock.

    Attributes:
        mine: The lock as last written.
        taken: Who has taken it over; None: nobody.
    """

    def __init__(self, store: Store, mine: Holder) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.store = store
        self.mine = mine
        self.taken: Holder | None = None
        self._end = threading.Event()

    def run(self) -> None:
        """Beat until `stop`."""
        while not self._end.wait(BEAT):
            with suppress(OSError):  # a full disk or a lost store: the next beat may succeed
                self.beat()

    def beat(self) -> None:
        """One heartbeat."""
        found = holder(self.store)
        if found is not None and found.nonce != self.mine.nonce:
            self.taken = found
            self._end.set()
            # a job in the background may ignore SIGINT
            ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            number = signal.SIGTERM if ignored else signal.SIGINT
            signal.pthread_kill(threading.main_thread().ident or 0, number)
            return
        self.mine = replace(self.mine, beat=time.time())
        write_key(self.store, LOCK, _encode(self.mine))

    def stop(self) -> None:
        """End, after the beat that may be under way."""
        self._end.set()
        self.join()
