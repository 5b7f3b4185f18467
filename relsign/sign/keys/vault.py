"""Secrets that last: each in a file of its own, sealed under its owner's passphrase.

    FOLDER/NAME.sealed     a relsign/sealed/1 document, mode 0600; FOLDER has 0700

Only the owner is trusted to write here.  Whoever else could can delete a secret or
put an older one of the same name back, and can open none; whoever can read guesses
passphrases at leisure, each guess at the cost the file states.  Back this folder up.

    >>> import tempfile
    >>> vault = Vault(Path(tempfile.mkdtemp()) / "vault", cost=Cost(1, 8192))
    >>> vault.store("share", b"secret", b"correct horse")
    >>> vault.names(), vault.load("share", b"correct horse")
    (('share',), b'secret')
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.sealing import DEFAULT_COST, Cost, Place, lock_with, open_with
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import MAX_BYTES, decode_value
from relsign.formats.names import Name
from relsign.formats.sealed import NONCE_BYTES, SALT_BYTES, parse_sealed
from relsign.system.files import write_whole
from relsign.system.private import (
    PRIVATE_FILE,
    alone,
    erase,
    is_private_folder,
    is_there,
    list_private,
    read_private,
    wiping,
    with_hint,
)

_ENDING = ".sealed"
_WHAT = "vault"
_RESTORE = "restore this file from your backup"


@dataclass(frozen=True, slots=True)
class Vault:
    """A private folder of sealed secrets.

    `purpose` is authenticated with each: a file moved between two vaults of different
    purposes opens in neither.  Only tests name another cost.
    """

    folder: Path
    purpose: str = "vault"
    cost: Cost = DEFAULT_COST

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted; raise InputError for a folder open to others."""
        if not is_private_folder(self.folder, _WHAT):
            return ()
        files = (name for name in list_private(self.folder) if name.endswith(_ENDING))
        return tuple(name.removesuffix(_ENDING) for name in files if not name.startswith("."))

    def store(self, name: str, plain: bytes, passphrase: bytes) -> None:
        """Seal a new secret and write it, whole and fsynced.

        Raises InputError for a name that is taken or malformed, a short passphrase, a
        secret above 512 KiB, or a folder open to others; HostError if the disk refuses.
        """
        path = self._path(name)
        sealed = self._seal(name, plain, passphrase)
        with alone(self.folder, _WHAT):
            if is_there(path):
                raise InputError(
                    "a secret of that name exists",
                    where=os.fspath(path),
                    hint="choose another name; none is overwritten by a new one",
                )
            write_whole(path, sealed, PRIVATE_FILE)

    def replace(self, name: str, plain: bytes, passphrase: bytes) -> None:
        """Put another secret, or passphrase, in an old one's place: atomically and fsynced.

        Killed at any moment it leaves the old or the new.  The old file is overwritten
        afterwards, for what that is worth: see `destroy`.  Raises as `store` does, and
        InputError if there is none of that name.
        """
        path = self._path(name)
        sealed = self._seal(name, plain, passphrase)
        with alone(self.folder, _WHAT):
            self._read(path)
            with wiping(path):
                write_whole(path, sealed, PRIVATE_FILE)

    def load(self, name: str, passphrase: bytes) -> bytes:
        """Return a secret.

        Raises InputError if there is none of that name, the passphrase is wrong, the
        file is damaged, renamed, a link, or it or its folder is open to others.
        """
        path = self._path(name)
        if not is_private_folder(self.folder, _WHAT):
            raise _missing(path)
        data = self._read(path)
        where = os.fspath(path)
        try:
            sealed = parse_sealed(data, where)
        except InputError as error:
            raise InputError(
                "damaged secret",
                where=where,
                got=str(error).removeprefix(f"{where}: "),
                hint=f"{_RESTORE}; no passphrase opens it as it is",
            ) from error
        return open_with(passphrase, sealed, self._place(name), where)

    def destroy(self, name: str) -> None:
        """Overwrite a secret's file with zeros, remove it, and fsync the folder.

        That is what a program can do, and it is not proof.  Flash disks write the zeros
        elsewhere and keep the old cells; file systems that copy on write or keep a
        journal, their snapshots, and every backup may hold the file still.  What is left
        there is still sealed: whoever finds it must guess the passphrase.  To be rid of
        a share, let the group refresh its shares, which makes every old one worthless
        once more than n - t holders have destroyed theirs.

        Raises InputError if there is none of that name, HostError if the disk refuses.
        """
        path = self._path(name)
        with alone(self.folder, _WHAT):
            if not is_there(path):
                raise _missing(path)
            erase(path)

    def _path(self, name: str) -> Path:
        return self.folder / f"{decode_value(name, Name, 'name of a secret')}{_ENDING}"

    def _place(self, name: str) -> Place:
        return Place(self.purpose, name)

    def _seal(self, name: str, plain: bytes, passphrase: bytes) -> bytes:
        salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
        place = self._place(name)
        return lock_with(passphrase, plain, place, salt, nonce, self.cost).to_bytes()

    def _read(self, path: Path) -> bytes:
        try:
            return read_private(path, _WHAT, MAX_BYTES)
        except NotEnoughError as error:
            raise _missing(path) from error
        except InputError as error:
            raise with_hint(error, error.hint or _RESTORE) from error


def _missing(path: Path) -> InputError:
    return InputError(
        "no secret of that name",
        where=os.fspath(path),
        hint="if it was here before, restore it from your backup",
    )
