"""The trust store: what a person who verifies keeps between two commands.

    TRUST/NAME/pin.json             the root that was pinned, and what was seen
    TRUST/NAME/roots/N.root.json    that root and every one accepted since
    TRUST/NAME/memory.json          a second copy of what was seen
    TRUST/NAME/metadata/            cache of the TUF client

Whoever can write here can make the owner believe anything: folders are 0700, and a
store that is a link, belongs to somebody else or can be written by others is refused.
It lies in the user's data folder or where ``--trust`` says; the current folder is
never looked at.

All that either copy knows counts: killed between two writes, or with a copy lost,
damaged or from an old backup, the store knows no less than it did.

    store = TrustStore(folder)
    kept = store.recall("gzip")         # roots, and releases seen
    store.remember("gzip", seen, known=kept.seen)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NoRootError, VerificationError
from relsign.formats.canonical import Value, decode_value
from relsign.formats.memory import Memory, NewestRoot, Seen, new_memory, with_release, with_root
from relsign.formats.names import Name
from relsign.formats.pin import Pin, make_pin, with_memory
from relsign.formats.root import parse_root
from relsign.system.files import make_folder, sync_folder
from relsign.trust.pins.folder import PIN_AGAIN, Joined, PinFolder
from relsign.trust.pins.own_folder import alone, is_own_folder, make_own_folder, staging
from relsign.verify.root import MAX_ROTATIONS, TrustedRoot, extend_root, open_root, walk_roots

_PIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_EVIDENCE = "keep both files as evidence, and ask the project over another channel"


class Kept(Value, frozen=True):
    """What the store knows under one name."""

    pin: Pin
    roots: tuple[bytes, ...]
    """Root files, the pinned one first, the newest accepted one last."""
    note: str
    """One line for the person if a copy had to be restored, else empty."""

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Releases seen, sorted by sequence."""
        return self.pin.seen


class TrustStore(Value, frozen=True):
    """A folder of pins."""

    folder: Path

    def names(self) -> tuple[str, ...]:
        """Return the names of all pins, sorted; damaged ones among them."""
        if not is_own_folder(self.folder):
            return ()
        entries = [e.name for e in os.scandir(self.folder) if not e.is_file(follow_symlinks=False)]
        return tuple(sorted(name for name in entries if _PIN_NAME.fullmatch(name)))

    def find(self, project: str) -> tuple[str, ...]:
        """Return the names under which roots of exactly this project are pinned.

        Raises InputError if the pin that is called like the project is damaged.
        """
        found = []
        for name in self.names():
            try:
                pin = self._folder(name).find_pin()
            except InputError:
                if name.casefold() == project.casefold():
                    raise
                continue
            if pin is not None and pin.project == project:
                found.append(name)
        return tuple(found)

    def find_pin(self, name: str) -> Pin | None:
        """Return a pin as pin.json has it, or None if there is none of that name.

        Raises InputError for a pin that is damaged or lies in a folder of another name.
        """
        return self._folder(name).find_pin()

    def has_folder(self, name: str) -> bool:
        """Say whether anything is kept under a name, damaged or not.

        Raises InputError for a store that is not this user's own.
        """
        return is_own_folder(self._folder(name).home)

    def recall(self, name: str) -> Kept:
        """Return what is known under a name; restore a copy that was lost or damaged.

        Raises NoRootError if nothing is pinned; InputError if the pin is damaged, or an
        accepted root is missing.
        """
        folder, note = self._folder(name), ""
        joined = self._read(name)
        if joined.trouble:
            with alone(self.folder):
                joined = self._read(name)
                if joined.trouble:
                    folder.write(joined.pin)
                    note = f"{name}: {joined.trouble}; restored from the other copy"
        pin = joined.pin
        roots = folder.whole_roots(pin)
        if not roots:
            raise _lost_root(folder, pin)
        if pin.version + len(roots) <= pin.memory.root.version:
            source = "" if pin.url else " --from URL|DIR"
            raise InputError(
                f"version {pin.version + len(roots)} of the root is missing or damaged",
                where=os.fspath(folder.home / "roots"),
                expected=f"version {pin.memory.root.version}, which was accepted before",
                hint=f"get it again: relsign trust refresh {name}{source}",
            )
        return Kept(pin, roots, note)

    def standing_roots(self, name: str) -> tuple[bytes, ...]:
        """Return the root files that are whole, from the pinned one up to the first gap.

        For whoever fetches the rest; verifying takes `recall`, which refuses a gap.
        Raises as `recall` does, and InputError if the pinned root itself is lost.
        """
        pin = self._read(name).pin
        roots = self._folder(name).whole_roots(pin)
        if not roots:
            raise _lost_root(self._folder(name), pin)
        return roots

    def holds_pinned_root(self, name: str) -> bool:
        """Say whether the file of the root that was pinned is whole; raises as `recall`."""
        return bool(self._folder(name).whole_roots(self._read(name).pin))

    def put_back(self, name: str, trusted: TrustedRoot) -> None:
        """Put the pinned root's file back; raise VerificationError for any other root."""
        with alone(self.folder):
            pin = self._read(name).pin
            if (trusted.root.version, trusted.digest) != (pin.version, pin.root_sha256):
                raise VerificationError(
                    "not the root that is pinned",
                    where=name,
                    expected=pin.root_sha256,
                    got=trusted.digest,
                    hint=f"name version {pin.version} of the project's root.json",
                )
            self._folder(name).put_root(pin.version, trusted.data)

    def create(self, name: str, trusted: TrustedRoot, url: str | None, now: datetime) -> Pin:
        """Pin a root whose words a person has compared; `now` is aware UTC.

        What was seen under that name before is kept if pin.json was lost.  Raises
        InputError for a bad name, one that is taken, or differs from one only by case.
        """
        root = NewestRoot(version=trusted.root.version, sha256=trusted.digest)
        memory = new_memory(trusted.root.project, root)
        folder = self._folder(name)
        with alone(self.folder):
            self._refuse_taken(name)
            if is_own_folder(folder.home):
                pin = make_pin(name, root, folder.left_memory(memory), now, url)
                folder.put_root(root.version, trusted.data)
                folder.write(pin)
                return pin
            pin = make_pin(name, root, memory, now, url)
            with staging(self.folder) as made:
                # Made beside its place and moved there whole: there is no half a pin.
                new = PinFolder(made / name)
                make_folder(new.home, 0o700)
                make_own_folder(new.metadata)
                new.put_root(root.version, trusted.data)
                new.write(pin)
                new.home.rename(folder.home)
                sync_folder(self.folder)
        return pin

    def remember(self, name: str, entry: Seen, *, known: Iterable[Seen] = ()) -> None:
        """Remember a release that was VERIFIED.

        `known` is what the decision was taken on (`Kept.seen`).  Raises VerificationError
        if another process has verified a different release under the same sequence or
        version since; HostError if it cannot be written.
        """
        joined = self._read(name)
        if not joined.trouble and with_release(joined.pin.memory, entry) == joined.pin.memory:
            return
        with alone(self.folder):
            pin = self._read(name).pin
            _refuse_rivals(pin.memory, entry, frozenset(known))
            self._folder(name).write(with_memory(pin, with_release(pin.memory, entry)))

    def accept_root(self, name: str, data: bytes) -> TrustedRoot:
        """Accept the next version of the root, signed by the owners of the newest one.

        One that is here already changes nothing.  Raises VerificationError for another
        root of a version that is here, InputError for too many, else as `extend_root`.
        """
        with alone(self.folder):
            pin = self._read(name).pin
            roots = self.standing_roots(name)
            given = parse_root(data).signed
            newest = walk_roots(open_root(roots[0]), roots[1:])
            if pin.version <= given.version <= newest.root.version:
                _require_same(roots[given.version - pin.version], given.to_bytes())
                return newest
            following = extend_root(newest, data)
            if given.version > pin.version + MAX_ROTATIONS:
                raise InputError(
                    f"more than {MAX_ROTATIONS} versions since the pinned root",
                    where=name,
                    hint=f"relsign trust remove {name}, then {PIN_AGAIN}",
                )
            root = NewestRoot(version=given.version, sha256=following.digest)
            memory = pin.memory
            # A version that was lost and comes back makes nothing newer forgotten.
            if root.version >= memory.root.version:
                memory = with_root(memory, root)
            self._folder(name).put_root(root.version, data)
            self._folder(name).write(with_memory(pin, memory))
        return following

    def root_file(self, name: str, version: int) -> Path:
        """Return where an accepted version of the root is kept."""
        return self._folder(name).root_file(version)

    def metadata_folder(self, name: str) -> Path:
        """Return the folder for the TUF client's cache, made if it is missing."""
        folder = self._folder(name).metadata
        make_own_folder(folder)
        return folder

    def remove(self, name: str) -> None:
        """Forget a pin and all that was seen under it; raise NoRootError if there is none."""
        home = self._folder(name).home
        if not is_own_folder(home):
            raise _no_pin(name)
        with alone(self.folder), staging(self.folder) as gone:
            home.rename(gone / name)
            sync_folder(self.folder)

    def _folder(self, name: str) -> PinFolder:
        """Return a pin's folder, in a store that is this user's own or not there yet."""
        is_own_folder(self.folder)
        return PinFolder(self.folder / decode_value(name, Name, "name"))

    def _read(self, name: str) -> Joined:
        joined = self._folder(name).read()
        if joined is None:
            raise _no_pin(name)
        return joined

    def _refuse_taken(self, name: str) -> None:
        for other in self.names():
            if other != name and other.casefold() == name.casefold():
                raise InputError(
                    "a pin of that name but for case exists",
                    where=os.fspath(self.folder),
                    got=f"{name} beside {other}",
                    hint="look whether it is another project; choose a name with --name",
                )
        try:
            taken = self.find_pin(name) is not None
        except InputError:
            # Damaged: the person has just compared the words of what takes its place.
            taken = False
        if taken:
            raise InputError(
                "a root is pinned under that name",
                where=os.fspath(self._folder(name).home),
                hint=f"relsign trust remove {name}, or choose another name with --name",
            )


def _refuse_rivals(memory: Memory, entry: Seen, known: frozenset[Seen]) -> None:
    """Refuse a release that another process contradicted while this one was decided on."""
    for other in memory.seen:
        same_number = other.sequence == entry.sequence or other.version == entry.version
        if same_number and other.statement_sha256 != entry.statement_sha256 and other not in known:
            raise VerificationError(
                f"two different releases under one number: {entry.sequence}, {entry.version}",
                where="what you have seen",
                expected=f"statement {other.statement_sha256}",
                got=entry.statement_sha256,
                hint=_EVIDENCE,
            )


def _require_same(here: bytes, signed: bytes) -> None:
    kept = parse_root(here).signed
    if kept.to_bytes() != signed:
        raise VerificationError(
            f"another root of version {kept.version} than the one you have",
            where="root.json",
            expected=sha256_hex(kept.to_bytes()),
            got=sha256_hex(signed),
            hint=_EVIDENCE,
        )


def _lost_root(folder: PinFolder, pin: Pin) -> InputError:
    return InputError(
        "the pinned root is missing or damaged",
        where=os.fspath(folder.root_file(pin.version)),
        expected=f"version {pin.version} of root.json, {pin.root_sha256}",
        hint=f"put it back: relsign trust add FILE|URL --name {pin.name}, where FILE|URL is that "
        "version of root.json",
    )


def _no_pin(name: str) -> NoRootError:
    return NoRootError(
        "no root is pinned under that name",
        got=name,
        hint="see `relsign trust list`, or pin one: relsign trust add FILE",
    )
