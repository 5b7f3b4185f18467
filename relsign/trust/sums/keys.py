"""Builders' key files: ``NAME.gpg`` or ``NAME.asc``, as projects keep them in one folder.

The person who verifies is trusted to have chosen the folder.  A file that holds anything
but public keys is named and gives nobody a vote.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import InputError, NotEnoughError
from relsign.system.files import host_error, read_bounded
from relsign.trust.sums.tree import Finding, finding_of, show
from relsign.verify.sums_people import KeyCertificate, read_key_file

MAX_KEY_FILES = 2_000
MAX_KEY_FILE_BYTES = 2 << 20
MAX_KEY_BYTES = 64 << 20
"""All key files together."""
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+@~-]{0,127})\.(?:gpg|asc|pgp|pub|key)")


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Certificates by builder's name, and what was passed over."""

    files: Mapping[str, tuple[KeyCertificate, ...]]
    findings: tuple[Finding, ...]

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Every certificate, binary."""
        return tuple(one.binary for ring in self.files.values() for one in ring)


def read_key_folder(folder: Path) -> KeyFolder:
    """Read the key files of a folder.

    Raises NotEnoughError if there is none, InputError for more than 2,000 or
    64 MiB, HostError if
    the folder cannot be listed.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotEnoughError("no such folder", where=os.fspath(folder)) from error
    except OSError as error:
        raise host_error(error, folder) from error
    if len(names) > MAX_KEY_FILES:
        raise InputError(
            "too many key files", where=os.fspath(folder), expected=f"{MAX_KEY_FILES} at most"
        )
    files: dict[str, tuple[KeyCertificate, ...]] = {}
    findings = []
    size = 0
    for name in names:
        where = f"{show(folder.name)}/{show(name)}"
        match = _NAME.fullmatch(name)
        if match is None:
            findings.append(Finding(where, "not a key file's name", "NAME.gpg or NAME.asc"))
            continue
        try:
            found = read_key_file(read_bounded(folder / name, MAX_KEY_FILE_BYTES), where)
        except (InputError, NotEnoughError) as error:
            findings.append(finding_of(where, error))
            continue
        size += sum(len(one.binary) for one in found)
        if size > MAX_KEY_BYTES:
            raise InputError(
                "keys too large", where=os.fspath(folder), expected=f"{MAX_KEY_BYTES} bytes at most"
            )
        files[match[1]] = files.get(match[1], ()) + found
    return KeyFolder(files, tuple(findings))
