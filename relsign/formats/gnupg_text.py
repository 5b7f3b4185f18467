r"""What gpg prints for programs: status lines and key listings, read strictly.

A line is a status line if it begins with the fixed prefix, and its second word says
what it is; nothing is looked for further inside, where user IDs stand.  gpg escapes
the line ends in those (measured with 2.2.40 for the lines read here; not for
``IMPORTED``, so that what an import says decides nothing).

    >>> read_file_statuses(b"[GNUPG:] FILE_START 1 7\n[GNUPG:] NODATA 1\n[GNUPG:] FILE_DONE\n")
    {'7': (Status(word='NODATA', arguments=('1',)),)}
"""

from __future__ import annotations

from dataclasses import dataclass

from relsign.errors import HostError
from relsign.formats.shorten import shorten

_PREFIX = "[GNUPG:] "
_LISTING_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Status:
    """One status line (GnuPG, doc/DETAILS, "Format of the --status-fd output")."""

    word: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key or subkey as ``--with-colons --list-keys`` shows it."""

    fingerprint: str
    primary: str
    """The fingerprint of the certificate it belongs to."""
    validity: str
    """One letter; ``r`` revoked, ``e`` expired, ``i`` invalid."""
    bits: int
    algorithm: int
    expires: int
    """Seconds since 1970; 0 if never."""


def read_file_statuses(data: bytes) -> dict[str, tuple[Status, ...]]:
    """Return what ``--verify-files`` said between FILE_START and FILE_DONE, by file name.

    A file that was not finished is not in it: gpg stops in the middle at some errors.
    A name that comes twice keeps neither.
    """
    files: dict[str, tuple[Status, ...]] = {}
    twice: set[str] = set()
    name: str | None = None
    lines: list[Status] = []
    for status in _statuses(data):
        if status.word == "FILE_START":
            name, lines = " ".join(status.arguments[1:]), []
        elif status.word == "FILE_DONE" and name is not None:
            twice |= {name} & set(files)
            files[name] = tuple(lines)
            name = None
        else:
            lines.append(status)
    return {name: said for name, said in files.items() if name not in twice}


def _statuses(data: bytes) -> list[Status]:
    # Only a line feed ends a line: str.splitlines would also break inside a user ID.
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    found = []
    for line in lines:
        if line.startswith(_PREFIX):
            word, *arguments = line.removeprefix(_PREFIX).split(" ")
            found.append(Status(word, tuple(arguments)))
    return found


def read_key_listing(data: bytes) -> dict[str, ListedKey]:
    """Return each key and subkey of a listing by its fingerprint.

    Raises HostError for a listing in a form gpg does not print.
    """
    keys: dict[str, ListedKey] = {}
    fields: list[str] = []
    primary = ""
    for line in data.decode("utf-8", "backslashreplace").split("\n"):
        record = line.split(":")
        if record[0] in {"pub", "sub"}:
            fields = record
        elif record[0] == "fpr" and fields and len(record) >= _LISTING_FIELDS:
            primary = record[9] if fields[0] == "pub" else primary
            keys[record[9]] = _listed(fields, record[9], primary)
            fields = []
    return keys


def _listed(fields: list[str], fingerprint: str, primary: str) -> ListedKey:
    try:
        return ListedKey(
            fingerprint,
            primary,
            fields[1],
            int(fields[2]),
            int(fields[3]),
            int(fields[6] or 0),
        )
    except (IndexError, ValueError) as error:
        raise HostError(
            "gpg lists a key in a form that is not known", got=shorten(fingerprint)
        ) from error
