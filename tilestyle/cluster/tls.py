"""TLS between client, scheduler and workers: the certificates of one cluster, and their use."""

import ipaddress
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
import yaml
from distributed import Security

from tilestyle.errors import UserError

logger = logging.getLogger("tilestyle.cluster")

ROLES = ("scheduler", "worker", "client")
YEARS = 2
SETTINGS = "tls.yaml"
"""In the folder of the certificates: Dask's settings that name them."""


def make_certificates(folder: Path) -> None:
    """Make a new authority and a key pair for each role, for one cluster.

    Everyone with one of the keys may do anything on the cluster, as its user. They are readable by
    their owner alone; the authority's own key is kept nowhere.

    Args:
        folder: A new one: ca.pem, and ROLE.pem and ROLE-key.pem for scheduler, worker and client,
            and tls.yaml, which names them all to Dask.

    Raises:
        UserError: The folder exists, or cannot be made, or the package cryptography is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509 import BasicConstraints
    except ImportError as error:
        raise UserError(
            "certificates need the package cryptography: pip install 'tilestyle[slurm]'"
        ) from error
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise UserError(f"{folder}: exists; name a new folder for the certificates") from error
    authority = ec.generate_private_key(ec.SECP256R1())
    ca = _certify("authority", authority.public_key(), authority, BasicConstraints(True, 0))
    _write(folder / "ca.pem", ca)
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        constraints = BasicConstraints(ca=False, path_length=None)
        _write(folder / f"{role}.pem", _certify(role, key.public_key(), authority, constraints))
        _write(folder / f"{role}-key.pem", _pem(key))
    (folder / SETTINGS).write_text(yaml.safe_dump({"distributed": {"comm": _settings(folder)}}))


def _certify(name: str, public: Any, authority: Any, constraints: Any) -> bytes:
    """A certificate of a name, signed by the authority, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tilestyle {name}")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tilestyle authority")]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # clocks of a cluster's machines may differ
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(constraints, critical=True)
        .sign(authority, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)


def _settings(folder: Path) -> dict[str, Any]:
    """The section distributed.comm of Dask's configuration."""
    root = folder.resolve()
    pairs = {r: {"cert": f"{root / r}.pem", "key": f"{root / r}-key.pem"} for r in ROLES}
    return {"require-encryption": True, "tls": {"ca-file": str(root / "ca.pem"), **pairs}}


def security(folder: str | None) -> Security | None:
    """What a client connects with.

    Args:
        folder: That of `make_certificates`; None: what Dask's own settings say, if anything.

    Raises:
        UserError: The folder does not hold certificates that can be read.
    """
    if folder is None:
        return Security() if dask.config.get("distributed.comm.tls.ca-file", None) else None
    settings = _settings(Path(folder).expanduser())
    given = Security(
        require_encryption=True,
        tls_ca_file=settings["tls"]["ca-file"],
        **{f"tls_{r}_{k}": settings["tls"][r][k] for r in ROLES for k in ("cert", "key")},
    )
    try:
        given.get_connection_args("client")
    except OSError as error:  # ssl's own errors are such, too
        raise UserError(
            f"cluster.tls: {folder}: no certificates that can be read; make some with "
            "`tilestyle cluster cert -o DIR`"
        ) from error
    return given


def warn_if_open(address: str) -> None:
    """One line where whoever reaches a scheduler's address can run anything there."""
    place = urlsplit(address)
    if place.scheme == "tls" or _is_loopback(place.hostname or ""):
        return
    logger.warning(
        "%s: this scheduler is on a network without TLS: whoever reaches it can run code as you; "
        "see docs/clusters.md",
        address,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
