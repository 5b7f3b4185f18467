"""The signatures a request asks for, in the forms stock tools read.

Each form is made by a function that calls `sign` with the bytes a raw Ed25519 signature
is needed over.  A group cannot answer at once: its signatures come later, from many.  So
the same function is called twice, first to learn which bytes it asks for, then with the
signatures at hand.

    >>> twice = Output("example", ("a", "b"), lambda sign: sign(b"x" + sign(b"y")))
    >>> plan((twice,), {})
    {'a': b'y'}
    >>> plan((twice,), {"a": b"1"})
    {'b': b'x1'}
    >>> finish((twice,), {"a": b"1", "b": b"2"})
    {'example': b'2'}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relsign.crypto.raw_signing import Sign
from relsign.errors import VerificationError


@dataclass(frozen=True, slots=True)
class Output:
    """One thing that is made of signatures."""

    name: str
    slots: tuple[str, ...]
    """Its signatures in the order they are asked for; a second one needs the first."""
    make: Callable[[Sign], bytes]


class _AwaitedError(Exception):
    """Stops a maker at the first signature that is not there yet."""

    def __init__(self, slot: str, message: bytes) -> None:
        super().__init__(slot)
        self.slot = slot
        self.message = message


def rounds(outputs: tuple[Output, ...]) -> dict[int, tuple[str, ...]]:
    """Return the slots of each round: 2 for first signatures, 3 for those that need one."""
    found: dict[int, tuple[str, ...]] = {}
    for output in outputs:
        for number, slot in enumerate(output.slots, 2):
            found[number] = tuple(dict.fromkeys((*found.get(number, ()), slot)))
    return found


def plan(outputs: tuple[Output, ...], made: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the bytes to be signed next, by slot; empty when every signature is there.

    Raises VerificationError where two outputs want different bytes in one slot.
    """
    wanted: dict[str, bytes] = {}
    for output in outputs:
        try:
            output.make(_signer(output, made))
        except _AwaitedError as awaited:
            if wanted.setdefault(awaited.slot, awaited.message) != awaited.message:
                raise VerificationError(
                    "two outputs want different bytes in one slot", got=awaited.slot
                ) from awaited
    return wanted


def finish(outputs: tuple[Output, ...], made: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return every output by name; each maker checks what it made.

    Raises KeyError if a signature is missing: the caller asked `plan` first.
    """
    files: dict[str, bytes] = {}
    for output in outputs:
        try:
            files[output.name] = output.make(_signer(output, made))
        except _AwaitedError as awaited:
            raise KeyError(awaited.slot) from awaited
    return files


def _signer(output: Output, made: Mapping[str, bytes]) -> Sign:
    slots = iter(output.slots)

    def sign(message: bytes) -> bytes:
        slot = next(slots)
        if slot not in made:
            raise _AwaitedError(slot, message)
        return made[slot]

    return sign
