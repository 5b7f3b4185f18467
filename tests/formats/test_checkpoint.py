"""Checkpoints and log proofs: the specifications' own examples, and one form per value."""

from __future__ import annotations

import base64
import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relsign.errors import InputError
from relsign.formats.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    MAX_NOTE_SIGNATURES,
    MAX_PATH,
    MAX_PROOF_BYTES,
    Checkpoint,
    LogProof,
    NoteSignature,
    is_key_name,
    parse_checkpoint,
    parse_log_proof,
)

# The example of C2SP's tlog-cosignature (c2sp.org/tlog-cosignature, CC BY 4.0).
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 - a signature is one line
# Made from the example of c2sp.org/tlog-proof (CC BY 4.0), whose signatures are cut.
PROOF = f"""\
c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

{EXAMPLE}"""
HASH = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
LINE = EXAMPLE.split("\n")[4]
SIGNED = LINE.rpartition(" ")[2]


def swapped(old: str, new: str, text: str = EXAMPLE) -> bytes:
    assert old in text
    return text.replace(old, new, 1).encode()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_example_of_the_specification_is_read() -> None:
    checkpoint = parse_checkpoint(EXAMPLE.encode())
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root == base64.b64decode(HASH)
    assert checkpoint.extensions == ()
    log, witness = checkpoint.signatures
    assert (log.name, log.key_id.hex()) == ("example.com/behind-the-sofa", "033de0ae")
    assert len(log.signature) == 64
    assert (witness.name, len(witness.signature)) == ("witness.example.com/w1", 72)
    assert int.from_bytes(witness.signature[:8]) == 1679315147
    assert checkpoint.body() == b"".join(EXAMPLE.encode().splitlines(keepends=True)[:3])
    assert checkpoint.to_bytes() == EXAMPLE.encode()


def test_the_example_proof_is_read() -> None:
    proof = parse_log_proof(PROOF.encode())
    assert (proof.index, len(proof.hashes)) == (73894, 2)
    assert proof.extra == b"age-v1.2.1-darwin-arm64.tar.gz"
    assert proof.checkpoint == parse_checkpoint(EXAMPLE.encode())
    assert proof.to_bytes() == PROOF.encode()


def test_extension_lines_are_part_of_the_signed_text() -> None:
    data = swapped(HASH + "\n", f"{HASH}\none\n\u2014 two \u2028 lines\n")
    checkpoint = parse_checkpoint(data)
    assert checkpoint.extensions == ("one", "\u2014 two \u2028 lines")
    assert checkpoint.body().endswith(b" lines\n")
    assert checkpoint.to_bytes() == data


def test_a_proof_may_have_no_extra_and_no_hash() -> None:
    proof = LogProof(index=0, hashes=(), checkpoint=parse_checkpoint(EXAMPLE.encode()))
    data = proof.to_bytes()
    assert data == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{EXAMPLE}".encode()
    assert parse_log_proof(data) == proof


REFUSED_NOTES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a signed note"),
    "one newline": (b"\n", "not a signed note"),
    "two newlines": (b"\n\n", "wrong number of signatures"),
    "huge": (EXAMPLE.encode() + b"x" * MAX_CHECKPOINT_BYTES, "too large"),
    "not UTF-8": (EXAMPLE.encode().replace(b"sofa", b"so\xfffa"), "not UTF-8"),
    "overlong UTF-8": (b"\xc0\x80", "not UTF-8"),
    "tab": (swapped("sofa", "so\tfa"), "control character"),
    "carriage returns": (EXAMPLE.replace("\n", "\r\n").encode(), "control character"),
    "zero byte": (swapped("sofa", "so\x00fa"), "control character"),
    "escape": (swapped("sofa", "so\x1bfa"), "control character"),
    "no last line end": (EXAMPLE[:-1].encode(), "not a signed note"),
    "no empty line": (swapped("\n\n", "\n"), "not a signed note"),
    "an empty line at the end": (EXAMPLE.encode() + b"\n", "wrong number of signatures"),
    "two empty lines": (swapped("\n\n", "\n\n\n"), "not a checkpoint"),
    "no origin": (swapped("example.com/behind-the-sofa\n", "\n"), "not a checkpoint"),
    "no root": (swapped(HASH + "\n", ""), "not a checkpoint"),
    "no size": (swapped("20852163\n", ""), "not a checkpoint"),
    "an empty extension line": (swapped(HASH, HASH + "\n\nx"), "not a checkpoint"),
    "leading zero": (swapped("20852163", "020852163"), "not a number"),
    "plus sign": (swapped("20852163", "+20852163"), "not a number"),
    "minus sign": (swapped("20852163", "-1"), "not a number"),
    "space": (swapped("20852163", "20852163 "), "not a number"),
    "underscore": (swapped("20852163", "2_0"), "not a number"),
    "other digits": (swapped("20852163", "\u0661"), "not a number"),
    "hexadecimal": (swapped("20852163", "0x10"), "not a number"),
    "2**63": (swapped("20852163", str(2**63)), "not a number"),
    "many digits": (swapped("20852163", "9" * 5_000), "not a number"),
    "no number": (swapped("20852163", ""), "not a number"),
    "short root": (swapped(HASH, encoded(bytes(31))), "not a SHA-256"),
    "long root": (swapped(HASH, encoded(bytes(33))), "not a SHA-256"),
    "unpadded root": (swapped(HASH, HASH[:-1]), "not base64"),
    "other base64 alphabet": (swapped(HASH, HASH.replace("/", "_")), "not base64"),
    "stray bits": (swapped(HASH, HASH[:-2] + "J="), "not canonical base64"),
    "space in base64": (swapped(HASH, HASH + " "), "not base64"),
    "letters in base64": (swapped(HASH, "\u00e9" + HASH[1:]), "not base64"),
    "no signature": (EXAMPLE.partition("\u2014")[0].encode(), "wrong number of signatures"),
    "too many signatures": (
        (EXAMPLE.partition("\u2014")[0] + f"{LINE}\n" * (MAX_NOTE_SIGNATURES + 1)).encode(),
        "wrong number of signatures",
    ),
    "a hyphen for the dash": (swapped("\u2014", "-"), "not a signature line"),
    "no space after the dash": (swapped("\u2014 ", "\u2014"), "not a signature line"),
    "two spaces": (swapped("\u2014 ", "\u2014  "), "not a signature line"),
    "no name": (swapped(LINE, f"\u2014 {SIGNED}"), "not a signature line"),
    "only a dash": (swapped(LINE, "\u2014 "), "not a signature line"),
    "plus in a name": (swapped("\u2014 ", "\u2014 a+"), "not a signature line"),
    "no-break space in a name": (swapped("\u2014 ", "\u2014 a\u00a0"), "not a signature line"),
    "line separator in a name": (swapped("\u2014 ", "\u2014 a\u2028"), "not a signature line"),
    "three words": (swapped(SIGNED, f"{SIGNED} x"), "not base64"),
    "signature not base64": (swapped(SIGNED, "*" + SIGNED), "not base64"),
    "signature unpadded": (swapped(SIGNED, SIGNED[:-1]), "not base64"),
    "signature with stray bits": (swapped(SIGNED, SIGNED[:-2] + "9="), "not canonical"),
    "only a key id": (swapped(SIGNED, encoded(bytes(4))), "no signature after the key id"),
    "nothing signed": (swapped(SIGNED, ""), "no signature after the key id"),
}


@pytest.mark.parametrize("name", REFUSED_NOTES)
def test_checkpoints_that_are_refused(name: str) -> None:
    data, words = REFUSED_NOTES[name]
    with pytest.raises(InputError, match=words) as caught:
        parse_checkpoint(data, "cp")
    assert caught.value.where.startswith("cp")
    assert str(caught.value).isascii()


def test_as_many_signatures_as_the_specification_asks_for() -> None:
    body = EXAMPLE.partition("\u2014")[0]
    large = f"\u2014 pq {encoded(bytes(4 + 8 + 4_627))}\n" * 16
    assert len(parse_checkpoint((body + large).encode()).signatures) == 16
    many = f"{LINE}\n" * MAX_NOTE_SIGNATURES
    assert len(parse_checkpoint((body + many).encode()).signatures) == MAX_NOTE_SIGNATURES


def in_proof(old: str, new: str) -> bytes:
    return swapped(old, new, PROOF)


SIBLING = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
REFUSED_PROOFS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a log proof"),
    "huge": (PROOF.encode() + b"x" * MAX_PROOF_BYTES, "too large"),
    "not UTF-8": (PROOF.encode() + b"\xff", "not UTF-8"),
    "a checkpoint alone": (EXAMPLE.encode(), "not a log proof"),
    "another version": (in_proof("@v1", "@v2"), "not a log proof"),
    "white space before": (b" " + PROOF.encode(), "not a log proof"),
    "newline before": (b"\n" + PROOF.encode(), "not a log proof"),
    "header alone": (b"c2sp.org/tlog-proof@v1\n", "not a log proof"),
    "header and nothing": (b"c2sp.org/tlog-proof@v1\n\n", "a line: index N"),
    "no index": (in_proof("index 73894\n", ""), "a line: index N"),
    "index of another name": (in_proof("index", "Index"), "a line: index N"),
    "index twice": (in_proof("index 73894\n", "index 73894\nindex 73894\n"), "not base64"),
    "no number": (in_proof("73894", ""), "not a number"),
    "leading zero": (in_proof("73894", "073894"), "not a number"),
    "negative index": (in_proof("73894", "-1"), "not a number"),
    "2**63": (in_proof("73894", str(2**63)), "not a number"),
    "extra after index": (in_proof("index 73894\n", "index 73894\nextra AA==\n"), "not base64"),
    "extra twice": (in_proof("extra ", "extra AA==\nextra "), "a line: index N"),
    "extra without data": (in_proof("extra YW", "extra \nextra YW"), "extra line without data"),
    "extra not base64": (in_proof("extra ", "extra *"), "not base64"),
    "short hash": (in_proof(SIBLING, encoded(bytes(31)) + "\n"), "not a SHA-256"),
    "empty line between hashes": (in_proof(SIBLING, SIBLING + "\n"), "not a number"),
    "too many hashes": (in_proof(SIBLING, SIBLING * (MAX_PATH + 1)), "too many hashes"),
    "no checkpoint": (PROOF.partition("\n\n")[0].encode() + b"\n\n", "not a signed note"),
    "two empty lines": (in_proof("\n\n", "\n\n\n"), "not a checkpoint"),
    "checkpoint with a tail": (PROOF.encode() + b"x\n", "not a signature line"),
}


@pytest.mark.parametrize("name", REFUSED_PROOFS)
def test_proofs_that_are_refused(name: str) -> None:
    data, words = REFUSED_PROOFS[name]
    with pytest.raises(InputError) as caught:
        parse_log_proof(data, "p")
    assert words in f"{caught.value}"
    assert caught.value.where.startswith("p")


def test_the_deepest_proof_is_read() -> None:
    data = in_proof(SIBLING, SIBLING * (MAX_PATH - 1))
    assert len(parse_log_proof(data).hashes) == MAX_PATH


@pytest.mark.parametrize(
    ("name", "good"),
    [("a", True), ("log.example/x", True), ("", False), ("a b", False), ("a+b", False)],
)
def test_key_names(name: str, *, good: bool) -> None:
    assert is_key_name(name) is good


@pytest.mark.parametrize("sample", [EXAMPLE, PROOF])
def test_other_bytes_hold_other_values(sample: str) -> None:
    rng = random.Random(sample)  # noqa: S311 - the same documents on every run
    whole, read = sample.encode(), 0
    for _ in range(5_000):
        at = rng.randrange(len(whole))
        to = at + rng.choice((0, 1, 1, 4))
        new = rng.choice((b"", b"\n", b"\n\n", b"=", b"0", b"\xe2\x80\x94 ", rng.randbytes(1)))
        data = whole[:at] + new + whole[to:]
        for parse in (parse_checkpoint, parse_log_proof):
            with contextlib.suppress(InputError):
                value = parse(data)
                assert value.to_bytes() == data
                read += 1
    assert read > 500


@given(st.binary(max_size=300))
def test_any_bytes_raise_input_error_only(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_checkpoint(data)
    with pytest.raises(InputError):
        parse_log_proof(b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + data)


NAMES = st.text(st.characters(min_codepoint=0x21), min_size=1, max_size=9).filter(is_key_name)
LINES = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1)
SIGNATURES = st.builds(
    NoteSignature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=90)
)
COUNTS = st.integers(0, 2**63 - 1)
HASHES = st.binary(min_size=32, max_size=32)
CHECKPOINTS = st.builds(
    Checkpoint,
    LINES,
    COUNTS,
    HASHES,
    st.lists(SIGNATURES, min_size=1, max_size=4).map(tuple),
    st.lists(LINES, max_size=3).map(tuple),
)


@given(st.builds(LogProof, COUNTS, st.lists(HASHES).map(tuple), CHECKPOINTS, st.binary()))
def test_what_is_written_is_read(proof: LogProof) -> None:
    proof = replace(proof, hashes=proof.hashes[:MAX_PATH])
    assert parse_log_proof(proof.to_bytes()) == proof
    assert parse_checkpoint(proof.checkpoint.to_bytes()) == proof.checkpoint
