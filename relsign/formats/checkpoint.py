r"""Checkpoints and log proofs, to the letter of C2SP: text, one form per value.

Follows https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint and
https://c2sp.org/tlog-proof.  Parsing proves nothing: `relsign.crypto.notes`
checks the signatures, `relsign.crypto.merkle` the hashes.

    c2sp.org/tlog-proof@v1
    index 1
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    log.example/relsign                               the checkpoint: its origin,
    2                                                 the number of entries,
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=      the root of the tree

    — log.example/relsign hI2DJw...                   the log's signature
    — wanda mJirIklj...                               a witness's cosignature
"""

from __future__ import annotations

import base64
import binascii
import re

from relsign.errors import InputError
from relsign.formats.canonical import Value, shorten

PROOF_HEADER = "c2sp.org/tlog-proof@v1"
MAX_CHECKPOINT_BYTES = 128 << 10
"""Room for the 16 post-quantum signatures that every verifier has to accept."""
MAX_PROOF_BYTES = 256 << 10
MAX_NOTE_SIGNATURES = 100
MAX_PATH = 63
"""Hashes in an inclusion proof: the depth of the largest tree."""

HASH_BYTES = 32
KEY_ID_BYTES = 4
_MAX_COUNT = (1 << 63) - 1
_COUNT = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DASH = "\u2014 "


class NoteSignature(Value, frozen=True):
    """One signature line of a note; name and key id are labels, not proof."""

    name: str
    key_id: bytes
    """Four bytes."""
    signature: bytes

    def to_text(self) -> str:
        """Return the line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


class Checkpoint(Value, frozen=True):
    """A tree head and the signatures under it, not yet checked."""

    origin: str
    size: int
    root: bytes
    """Merkle root, 32 bytes (RFC 6962, 2.1)."""
    signatures: tuple[NoteSignature, ...]
    extensions: tuple[str, ...] = ()

    def body(self) -> bytes:
        """Return the note text, which the signatures are over."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    def to_bytes(self) -> bytes:
        """Return the signed note."""
        lines = "".join(signature.to_text() for signature in self.signatures)
        return self.body() + b"\n" + lines.encode()


class LogProof(Value, frozen=True):
    """Where an entry stands in a log, the hashes that show it, and the log's checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    """From the leaf's sibling up, 32 bytes each (RFC 6962, 2.1.1)."""
    checkpoint: Checkpoint
    extra: bytes = b""
    """Nobody signs these bytes; they decide nothing."""

    def to_bytes(self) -> bytes:
        """Return the text of a ``.tlog-proof`` file."""
        lines = [
            PROOF_HEADER,
            *([f"extra {encode_base64(self.extra)}"] if self.extra else []),
            f"index {self.index}",
            *(encode_base64(each) for each in self.hashes),
        ]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint.to_bytes()


def parse_checkpoint(data: bytes, where: str = "checkpoint") -> Checkpoint:
    """Return the checkpoint in `data`, its signatures not yet checked (tlog-checkpoint).

    Raises InputError for anything but one checkpoint in its one form.
    """
    return _read_checkpoint(_text(data, MAX_CHECKPOINT_BYTES, where), where)


def parse_log_proof(data: bytes, where: str = "release.tlog-proof") -> LogProof:
    """Return the log proof in `data`, nothing in it checked yet (tlog-proof).

    Raises InputError for anything but one proof in its one form.
    """
    head, blank, rest = _text(data, MAX_PROOF_BYTES, where).partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != PROOF_HEADER or not blank:
        raise InputError("not a log proof", where=where, expected=PROOF_HEADER)
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _decode(lines.pop(0).removeprefix("extra "), f"{where}: extra")
        if not extra:
            raise InputError("extra line without data", where=f"{where}: extra")
    if not lines or not lines[0].startswith("index "):
        raise InputError("not a log proof", where=where, expected="a line: index N")
    index = parse_count(lines.pop(0).removeprefix("index "), f"{where}: index")
    if len(lines) > MAX_PATH:
        raise InputError("too many hashes", where=where, expected=f"at most {MAX_PATH}")
    return LogProof(
        index=index,
        hashes=tuple(parse_hash(line, f"{where}: hash {n}") for n, line in enumerate(lines, 1)),
        checkpoint=_read_checkpoint(rest, f"{where}: checkpoint"),
        extra=extra,
    )


def is_key_name(name: str) -> bool:
    """Say whether a note's signature line may bear `name` (signed-note)."""
    return bool(name) and not any(c.isspace() or c == "+" for c in name)


def _text(data: bytes, max_bytes: int, where: str) -> str:
    if len(data) > max_bytes:
        raise InputError("too large", where=where, expected=f"at most {max_bytes} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=where, got=f"byte {error.start}") from error
    if control := _CONTROL.search(text):
        raise InputError("control character", where=where, got=ascii(control[0]))
    return text


def _read_checkpoint(text: str, where: str) -> Checkpoint:
    """Return the checkpoint of a text; the last empty line parts body from signatures."""
    body, blank, tail = text.rpartition("\n\n")
    signatures = tail.split("\n")
    if not blank or signatures.pop():
        raise InputError("not a signed note", where=where, expected="text, empty line, signatures")
    if not 1 <= len(signatures) <= MAX_NOTE_SIGNATURES:
        raise InputError(
            "wrong number of signatures",
            where=where,
            expected=f"1 to {MAX_NOTE_SIGNATURES}",
            got=str(len(signatures)),
        )
    match body.split("\n"):
        case [origin, size, root, *extensions] if origin and all(extensions):
            return Checkpoint(
                origin=origin,
                size=parse_count(size, f"{where}: size"),
                root=parse_hash(root, f"{where}: root"),
                extensions=tuple(extensions),
                signatures=tuple(
                    parse_signature(line, f"{where}: signature {n}")
                    for n, line in enumerate(signatures, 1)
                ),
            )
    raise InputError(
        "not a checkpoint", where=where, expected="origin, size, root, and no empty line"
    )


def parse_signature(line: str, where: str) -> NoteSignature:
    """Return the signature in one line of a note, without its newline; raise InputError."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_key_name(name):
        raise InputError(
            "not a signature line",
            where=where,
            expected="an em dash, a key name, base64",
            got=shorten(line),
        )
    data = _decode(encoded, where)
    if len(data) <= KEY_ID_BYTES:
        raise InputError("no signature after the key id", where=where, got=f"{len(data)} bytes")
    return NoteSignature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def parse_count(text: str, where: str) -> int:
    """Return a decimal number of at most 63 bits, which has no leading zero; raise InputError."""
    if not _COUNT.fullmatch(text) or int(text) > _MAX_COUNT:
        raise InputError(
            "not a number",
            where=where,
            expected="decimal, no leading zero, below 2**63",
            got=shorten(text),
        )
    return int(text)


def parse_hash(text: str, where: str) -> bytes:
    """Return the 32 bytes of a hash in base64; raise InputError."""
    data = _decode(text, where)
    if len(data) != HASH_BYTES:
        raise InputError("not a SHA-256 hash", where=where, got=f"{len(data)} bytes")
    return data


def encode_base64(data: bytes) -> str:
    """Return standard base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def _decode(text: str, where: str) -> bytes:
    """Return the bytes of standard base64 (RFC 4648, section 4), which has one form."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("not base64", where=where, got=shorten(text)) from error
    if encode_base64(data) != text:
        raise InputError("not canonical base64", where=where, got=shorten(text))
    return data
