"""A real S3 server on loopback: Ceph's gateway over one monitor and one store, all in memory.

It is up in some three seconds, and its contents end with it. The gateway alone can be stopped and
started again: to clients that is a server that is down for a while.
"""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "ceph", "ceph-authtool", "monmaptool")
KEY, SECRET = "testkey", "testsecret"

CONFIG = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{monitor}]
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
run dir = {folder}
pid file = {folder}/$name.pid
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
crash dir = {folder}/crash
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = true
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
# commits of the monitor wait for more to come: not here, it would take most of the start
paxos propose interval = 0.02
paxos min wait = 0.01
mon tick interval = 1
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd memory target = 939524096
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw thread pool size = 16
rgw enable apis = s3, admin
rgw dns name = localhost
rgw enable usage log = false
rgw run sync thread = false
"""

CAPABILITIES = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    "client.rgw": ["mon", "allow rw", "osd", "allow rwx"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
}


def missing_programs() -> list[str]:
    """What is not installed."""
    path = os.environ["PATH"] + ":/usr/sbin"  # which an ordinary user's may lack
    return [name for name in PROGRAMS if not shutil.which(name, path=path)]


class Server:
    """The server; a context manager.

    Args:
        folder: An empty one with a short path: names of sockets have at most 107 characters.

    Attributes:
        endpoint: Its address.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "ceph.conf"
        monitor, gateway = free_ports(2)
        self.endpoint = f"http://127.0.0.1:{gateway}"
        self.address = f"[v2:127.0.0.1:{monitor}]"
        self.fsid = str(uuid.uuid4())
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.config.write_text(
            CONFIG.format(fsid=self.fsid, folder=folder, monitor=monitor, gateway=gateway)
        )

    def __enter__(self) -> "Server":
        try:
            self._start_monitor()
            self._start_store()
            self.start_gateway()
            self._call("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=test")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()

    def start_gateway(self) -> None:
        """Let it answer, as at the start."""
        self._daemon("radosgw", "-n", "client.rgw")
        self._wait(self._answers)

    def stop_gateway(self) -> None:
        """Let it answer no more; its contents stay."""
        gateway = self.daemons.pop("radosgw")
        gateway.kill()
        gateway.wait()

    def _start_monitor(self) -> None:
        for name, capabilities in CAPABILITIES.items():
            pairs = zip(capabilities[::2], capabilities[1::2], strict=True)
            caps = [word for kind, caps in pairs for word in ("--cap", kind, caps)]
            new = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            keyring = self.folder / "keyring"
            self._call("ceph-authtool", *new, str(keyring), "--gen-key", "-n", name, *caps)
        plan = str(self.folder / "monmap")
        self._call("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", self.address, plan)
        self._call("ceph-mon", "--mkfs", "-i", "a", "--monmap", plan)
        self._daemon("ceph-mon", "-i", "a")
        self._wait(lambda: bool(self._call("ceph", "--connect-timeout", "5", "mon", "stat")))

    def _start_store(self) -> None:
        name = str(uuid.uuid4())
        (self.folder / "osd").mkdir()
        self._call("ceph", "osd", "new", name)
        self._call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", name)
        self._daemon("ceph-osd", "-i", "0")
        self._wait(lambda: "1 up" in self._call("ceph", "osd", "stat"))

    def _daemon(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("ab") as log:
            self.daemons[program] = subprocess.Popen(
                [program, "-c", self.config, "-f", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )

    def _call(self, program: str, *arguments: str) -> str:
        keys = [f"--access-key={KEY}", f"--secret={SECRET}", "--display-name=test"]
        offline = program in ("ceph-authtool", "monmaptool")
        done = subprocess.run(
            [
                program,
                *([] if offline else ["-c", str(self.config)]),
                *arguments,
                *(keys if program == "radosgw-admin" else []),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=self._environment(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stderr}")
        return done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        path = os.environ["PATH"] + ":/usr/sbin"
        return os.environ | {"PATH": path, "CEPH_CONF": str(self.config)}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=5):  # noqa: S310
                return True
        except urllib.error.URLError:
            return False

    def _wait(self, ready: Callable[[], bool], patience: float = 60) -> None:
        end = time.monotonic() + patience
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"the S3 server did not start, see {self.folder}")
            time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
