"""What a log asks of a witness, to the letter of C2SP tlog-witness.

    old 1                                             the size the witness saw last
    6pkx3V3hPr+6S2oW3PYOHHHjDDmJ2SVgwV1BN/tDEBg=      the consistency proof

    log.example/relsign                               the checkpoint to be cosigned
    2
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

    — log.example/relsign hI2DJw...

Follows https://c2sp.org/tlog-witness.  The answer is a cosignature line, or a status
that says why not.  Parsing proves nothing: `relsign.verify.witnessing` decides.
"""

from __future__ import annotations

from typing import Final

from relsign.errors import InputError
from relsign.formats.canonical import Value
from relsign.formats.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    MAX_NOTE_SIGNATURES,
    MAX_PATH,
    Checkpoint,
    NoteSignature,
    encode_base64,
    parse_checkpoint,
    parse_count,
    parse_hash,
    parse_signature,
)

ADD_CHECKPOINT: Final = "add-checkpoint"
"""What follows a witness's address."""
MAX_REQUEST_BYTES: Final = MAX_CHECKPOINT_BYTES + (8 << 10)
MAX_ANSWER_BYTES: Final = 64 << 10
SIZE_TYPE: Final = "text/x.tlog.size"
"""Content type of the answer 409, whose body is the size the witness saw last."""


class AddCheckpoint(Value, frozen=True):
    """A checkpoint, and the proof that the log only grew since the witness saw it."""

    old_size: int
    hashes: tuple[bytes, ...]
    """The consistency proof (RFC 6962, 2.1.2), 32 bytes each."""
    checkpoint: Checkpoint

    def to_bytes(self) -> bytes:
        """Return the body of the request."""
        lines = (f"old {self.old_size}", *map(encode_base64, self.hashes))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint.to_bytes()


def parse_add_checkpoint(data: bytes, where: str = "request") -> AddCheckpoint:
    """Return the request; raise InputError unless it is one in its one form."""
    if len(data) > MAX_REQUEST_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_REQUEST_BYTES} bytes")
    head, blank, note = data.partition(b"\n\n")
    try:
        old, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("not ASCII", where=where, got=f"byte {error.start}") from error
    if not blank or not old.startswith("old "):
        raise InputError("not a request to a witness", where=where, expected="a line: old N")
    if len(hashes) > MAX_PATH:
        raise InputError("too many hashes", where=where, expected=f"at most {MAX_PATH}")
    return AddCheckpoint(
        old_size=parse_count(old.removeprefix("old "), f"{where}: old"),
        hashes=tuple(parse_hash(line, f"{where}: hash {n}") for n, line in enumerate(hashes, 1)),
        checkpoint=parse_checkpoint(note, f"{where}: checkpoint"),
    )


def write_cosignatures(lines: tuple[NoteSignature, ...]) -> bytes:
    """Return the body of a witness's answer."""
    return "".join(line.to_text() for line in lines).encode()


def parse_cosignatures(data: bytes, where: str = "answer") -> tuple[NoteSignature, ...]:
    """Return the lines of a witness's answer, none checked yet; raise InputError."""
    if len(data) > MAX_ANSWER_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_ANSWER_BYTES} bytes")
    try:
        *lines, rest = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=where, got=f"byte {error.start}") from error
    if rest or not 1 <= len(lines) <= MAX_NOTE_SIGNATURES:
        raise InputError(
            "not a witness's answer",
            where=where,
            expected=f"1 to {MAX_NOTE_SIGNATURES} signature lines",
            got=f"{len(lines)} lines",
        )
    return tuple(parse_signature(line, f"{where}: line {n}") for n, line in enumerate(lines, 1))


def parse_size(data: bytes, where: str = "answer") -> int:
    """Return the size in an answer 409; raise InputError."""
    text = data[:32].decode("ascii", "replace")
    if not text.endswith("\n"):
        raise InputError("not a size", where=where, expected="a number and a newline")
    return parse_count(text.removesuffix("\n"), where)
