"""Other projects' SHA256SUMS: which forms are read, and which are refused."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.sums_manifest import MAX_SUMS_BYTES, MAX_SUMS_LINES, parse_sums

A = "a" * 64
B = "b" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}  x.zip\n", {"x.zip": (A,)}),
        (f"{A} *x.zip\n", {"x.zip": (A,)}),
        (f"{A}  x.zip", {"x.zip": (A,)}),
        (f"{A}  x.zip\r\n{B}  y.zip\r\n", {"x.zip": (A,), "y.zip": (B,)}),
        (f"{A.upper()}  x.zip\n", {"x.zip": (A,)}),
        (f"{A}  ./x.zip\n", {"x.zip": (A,)}),
        (f"{A}  ./out/x86/x.zip\n", {"x.zip": (A,)}),
        (f"\n{A}  x.zip\n\n", {"x.zip": (A,)}),
        (f"{A}  x.zip\n{A}  x.zip\n", {"x.zip": (A,)}),
        (f"{A}  x.zip\n{B}  x.zip\n", {"x.zip": (A, B)}),
        (f"{B}  one/x.zip\n{A}  two/x.zip\n", {"x.zip": (A, B)}),
        (f"{A}  a b.zip\n", {"a b.zip": (A,)}),
        (f"{A}  .hidden\n", {".hidden": (A,)}),
        (f"{A}  x\n", {"x": (A,)}),
        (f"{A}  {'x' * 200}\n", {"x" * 200: (A,)}),
    ],
)
def test_each_form_in_use_is_read(text: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert parse_sums(text.encode(), "m") == expected


def test_folders_may_be_kept() -> None:
    text = f"{A}  ./one/x.zip\n{B}  two/./x.zip\n{B}  x.zip\n".encode()
    assert parse_sums(text, "m", keep_folders=True) == {
        "one/x.zip": (A,),
        "two/x.zip": (B,),
        "x.zip": (B,),
    }


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "lists no file"),
        (b"\r\n\n", "lists no file"),
        (b"hello\n", "not a checksum line"),
        (f"{A[:-1]}  x\n".encode(), "not a checksum line"),
        (f"{A}a  x\n".encode(), "not a checksum line"),
        (f"{A} x\n".encode(), "not a checksum line"),
        (f"{A}\tx\n".encode(), "not a checksum line"),
        (f"{A}  \n".encode(), "not a checksum line"),
        (f"\\{A}  x\\ny\n".encode(), "not a checksum line"),
        (f"SHA256 (x) = {A}\n".encode(), "not a checksum line"),
        (f"# {A}  x\n".encode(), "not a checksum line"),
        (f" {A}  x\n".encode(), "not a checksum line"),
        (f"{A}  x\r\r\n".encode(), "not a name that can be compared"),
        (f"{A}  /etc/passwd\n".encode(), "not a name that can be compared"),
        (f"{A}  ../x\n".encode(), "not a name that can be compared"),
        (f"{A}  a/../x\n".encode(), "not a name that can be compared"),
        (f"{A}  a//x\n".encode(), "not a name that can be compared"),
        (f"{A}  a/\n".encode(), "not a name that can be compared"),
        (f"{A}  .\n".encode(), "not a name that can be compared"),
        (f"{A}  ..\n".encode(), "not a name that can be compared"),
        (f"{A}  -rf\n".encode(), "not a name that can be compared"),
        (f"{A}  =1+1\n".encode(), "not a name that can be compared"),
        (f"{A}   x\n".encode(), "not a name that can be compared"),
        (f"{A}  x \n".encode(), "not a name that can be compared"),
        (f"{A}  . \n".encode(), "not a name that can be compared"),
        (f"{A}  a\\b\n".encode(), "not a name that can be compared"),
        (f"{A}  x\x1b[2J\n".encode(), "not a name that can be compared"),
        (f"{A}  x\x00\n".encode(), "not a name that can be compared"),
        (f"{A}  {'x' * 201}\n".encode(), "not a name that can be compared"),
        (f"{A}  x\u202ezip\n".encode(), "not ASCII"),
        (b"\xff\xfe", "not ASCII"),
        (f"{A}  x\n".encode() * MAX_SUMS_LINES, "too many lines"),
        (b"x" * (MAX_SUMS_BYTES + 1), "too large"),
    ],
)
def test_anything_else_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_sums(data, "m")
    assert refused.value.what == what
    assert refused.value.where.startswith("m")
    assert refused.value.got.isprintable()


@given(st.binary(max_size=300) | st.text(alphabet="a0 *./\\\r\nx", max_size=200).map(str.encode))
def test_any_bytes_give_digests_or_an_input_error(data: bytes) -> None:
    try:
        found = parse_sums(data, "m")
    except InputError:
        return
    assert all(digests and name.isprintable() for name, digests in found.items())


def test_sha256sum_s_own_output_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a b.bin").write_bytes(b"x")
    for mode in ("--text", "--binary"):
        done = subprocess.run(
            ["sha256sum", mode, "./out/a b.bin"], cwd=tmp_path, capture_output=True, check=True
        )
        assert parse_sums(done.stdout, "m") == {"a b.bin": (hashlib.sha256(b"x").hexdigest(),)}
