"""One pin's folder: two copies of what was seen, and the roots accepted so far.

    HOME/pin.json, HOME/memory.json, HOME/roots/N.root.json

Reading joins the copies and says what was wrong with one; writing replaces each file
whole, memory.json before pin.json.  Locking is the store's duty.
"""

from __future__ import annotations

import os
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import MAX_BYTES, Value
from relsign.formats.memory import Memory, join_memories, parse_memory
from relsign.formats.pin import Pin, parse_pin, with_memory
from relsign.formats.root import MAX_ROOT_BYTES, parse_root, root_file_name
from relsign.system.files import read_bounded, write_whole
from relsign.trust.pins.own_folder import is_own_folder, make_own_folder, remove_temporary
from relsign.verify.root import MAX_ROTATIONS

PRIVATE = 0o600
PIN_AGAIN = "pin the root again, comparing its words: relsign trust add"


class Joined(Value, frozen=True):
    """A pin that holds what both copies of the memory know."""

    pin: Pin
    trouble: str
    """What was wrong with one of the copies, or empty."""


class PinFolder(Value, frozen=True):
    """The folder ``TRUST/NAME``."""

    home: Path

    @property
    def metadata(self) -> Path:
        """Return where the TUF client keeps its cache."""
        return self.home / "metadata"

    def root_file(self, version: int) -> Path:
        """Return where a version of the root is."""
        return self.home / "roots" / root_file_name(version)

    def find_pin(self) -> Pin | None:
        """Return the pin as pin.json has it, or None if there is none.

        Raises InputError for a pin that is damaged, or that was pinned under another
        name than the folder's, and for a folder that is not this user's own.
        """
        path = self.home / "pin.json"
        where = os.fspath(path)
        if not is_own_folder(self.home):
            return None
        try:
            pin = parse_pin(read_bounded(path, MAX_BYTES), where)
        except NotEnoughError:
            return None
        except InputError as error:
            raise InputError(
                f"the pin is damaged: {error.what}",
                where=where,
                expected=error.expected,
                got=error.got,
                hint=PIN_AGAIN,
            ) from error
        if pin.name != self.home.name:
            raise InputError(
                "a pin of another name",
                where=where,
                expected=self.home.name,
                got=pin.name,
                hint="give its folder back the name it had",
            )
        return pin

    def read(self) -> Joined | None:
        """Return what both copies know, or None where nothing is kept.

        Raises as `find_pin` does, and InputError where only pin.json is gone.
        """
        pin = self.find_pin()
        if pin is not None:
            return self._joined(pin)
        if not is_own_folder(self.home):
            return None
        raise InputError("the pin is gone", where=os.fspath(self.home / "pin.json"), hint=PIN_AGAIN)

    def _joined(self, pin: Pin) -> Joined:
        try:
            memory = parse_memory(read_bounded(self.home / "memory.json", MAX_BYTES))
            both = join_memories(pin.memory, memory)
        except NotEnoughError:
            return Joined(pin, "memory.json was missing")
        except InputError as error:
            return Joined(pin, f"memory.json was unusable ({error.what})")
        if both == pin.memory == memory:
            return Joined(pin, "")
        behind = "memory.json" if both == pin.memory else "pin.json"
        return Joined(with_memory(pin, both), f"{behind} knew less than its copy")

    def left_memory(self, memory: Memory) -> Memory:
        """Return `memory` with what was seen before pin.json was lost.

        Raises InputError if that was of another project, or of a rival root.
        """
        path = self.home / "memory.json"
        try:
            left = parse_memory(read_bounded(path, MAX_BYTES), os.fspath(path))
        except (InputError, NotEnoughError):
            return memory
        try:
            return join_memories(left, memory)
        except InputError as error:
            raise InputError(
                f"what is kept under that name does not belong to this root: {error.what}",
                where=os.fspath(path),
                expected=error.expected,
                got=error.got,
                hint="choose another name with --name, or remove it: relsign trust remove "
                + self.home.name,
            ) from error

    def whole_roots(self, pin: Pin) -> tuple[bytes, ...]:
        """Return root files from the pinned one up to the first that is lost or damaged."""
        is_own_folder(self.home / "roots")
        newest = pin.memory.root
        known = {pin.version: pin.root_sha256, newest.version: newest.sha256}
        last = min(newest.version, pin.version + MAX_ROTATIONS)
        found: list[bytes] = []
        for version in range(pin.version, last + 1):
            try:
                data = read_bounded(self.root_file(version), MAX_ROOT_BYTES)
                signed = parse_root(data).signed
            except (InputError, NotEnoughError):
                break
            digest = sha256_hex(signed.to_bytes())
            if signed.version != version or known.get(version, digest) != digest:
                break
            found.append(data)
        return tuple(found)

    def put_root(self, version: int, data: bytes) -> None:
        """Write a version of the root; raise HostError if that fails."""
        path = self.root_file(version)
        make_own_folder(path.parent)
        remove_temporary(path.parent)
        write_whole(path, data, PRIVATE)

    def write(self, pin: Pin) -> None:
        """Write both copies; raise HostError if that fails, and then none knows less."""
        remove_temporary(self.home)
        write_whole(self.home / "memory.json", pin.memory.to_bytes(), PRIVATE)
        write_whole(self.home / "pin.json", pin.to_bytes(), PRIVATE)
