"""How the TUF client's files come here: bounded downloads, or a folder's files.

A web server's 403 and 404 mean that there is no such file, as TUF's root walk needs;
so does a file that is absent from a folder.  What comes is looked at for one thing
python-tuf does not look for: one key under two names in the same role, which would
count as two people.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from tuf.api import exceptions
from tuf.ngclient.fetcher import FetcherInterface

from relsign.errors import NotEnoughError, RelsignError
from relsign.system.fetch import (
    FetchLimits,
    ServerRefusedError,
    TooLargeError,
    download_bytes,
    redacted,
)
from relsign.system.files import open_regular

LIMITS = FetchLimits(slowest=256)
"""Pace and patience; the bytes that are allowed come with each file."""
NOT_FOUND = 404
ABSENT = frozenset({403, 404})
"""Statuses that TUF's root walk takes for the end of the road."""
_LARGEST = 64 << 20


class TufFetcher(FetcherInterface):
    """Gets the URLs that python-tuf forms: addresses, or paths below a folder."""

    def __init__(self, limits: FetchLimits) -> None:
        """Keep how long to wait and how often to try; `max_bytes` is not looked at."""
        self._limits = limits

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Return a body in one piece; python-tuf asks for this only without a bound."""
        return iter((_read(url, _LARGEST, self._limits),))

    @contextlib.contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Yield a body of at most `max_length` bytes; raise DownloadError for anything else."""
        yield io.BytesIO(_read(url, max_length, self._limits))

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return a metadata file of at most `max_length` bytes.

        Raises DownloadError, and RepositoryError for one key under two names in a role.
        """
        data = _read(url, max_length, self._limits)
        refuse_twin_keys(data)
        return data


def refuse_twin_keys(data: bytes) -> None:
    """Raise RepositoryError where a role counts one key twice under two keyids.

    Looks at a root's roles and at delegations, and leaves every other fault to TUF's
    own parser.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    signed = _table(_table(document).get("signed"))
    _refuse_twins(_table(signed.get("keys")), list(_table(signed.get("roles")).values()))
    delegations = _table(signed.get("delegations"))
    roles = delegations.get("roles")
    listed = list(roles) if isinstance(roles, list) else []
    _refuse_twins(
        _table(delegations.get("keys")), [*listed, _table(delegations.get("succinct_roles"))]
    )


def _refuse_twins(keys: Mapping[str, object], roles: list[object]) -> None:
    materials = {keyid: _material(key) for keyid, key in keys.items()}
    for role in roles:
        keyids = _table(role).get("keyids")
        names = (
            [name for name in keyids if isinstance(name, str)] if isinstance(keyids, list) else []
        )
        known = [materials[name] for name in names if name in materials]
        if len(set(known)) != len(known):
            raise exceptions.RepositoryError("one key under two names in the same role")


def _material(key: object) -> bytes:
    """Return what makes a key itself, however it is written."""
    public = str(_table(_table(key).get("keyval")).get("public", ""))
    try:
        loaded = load_pem_public_key(public.encode("utf-8", "replace"))
    except (ValueError, UnsupportedAlgorithm):
        return "".join(public.split()).lower().encode("utf-8", "replace")
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def read_source(url: str, max_bytes: int, limits: FetchLimits = LIMITS) -> bytes:
    """Return a whole file of at most `max_bytes`, from an address or from a folder.

    Raises NotEnoughError for a file that is not there, TooLargeError for a larger one,
    HostError for the network and the disk.
    """
    if not is_address(url):
        return _read_local(url, max_bytes)
    try:
        return download_bytes(url, replace(limits, max_bytes=max_bytes))
    except ServerRefusedError as error:
        if error.status in ABSENT:
            raise NotEnoughError("no such file on the server", where=redacted(url)) from error
        raise


def is_address(source: str) -> bool:
    """Say whether a place is on the web; if not, it is a folder's path."""
    return re.match(r"https?://", source, re.IGNORECASE) is not None


def _read(url: str, max_bytes: int, limits: FetchLimits) -> bytes:
    """Return a whole body; every failure becomes a DownloadError caused by ours."""
    try:
        return read_source(url, max_bytes, limits)
    except TooLargeError as error:
        raise exceptions.DownloadLengthMismatchError(f"more than {max_bytes} bytes") from error
    except NotEnoughError as error:
        raise exceptions.DownloadHTTPError(str(error), NOT_FOUND) from error
    except RelsignError as error:
        raise exceptions.DownloadError(f"failed to get {redacted(url)}") from error


def _read_local(path: str, max_bytes: int) -> bytes:
    """Return a file below a folder; a path that leaves it is as good as absent."""
    if ".." in Path(path).parts:
        raise NotEnoughError("a path that leads out of the folder", where=path)
    with open_regular(Path(path)) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLargeError("file is too large", where=path, expected=f"at most {max_bytes} bytes")
    return data
