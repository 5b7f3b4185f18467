"""SHA256SUMS: what sha256sum reads, in one form."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from relsign.errors import InputError
from relsign.formats.manifest import MAX_MANIFEST_BYTES, encode_manifest, parse_manifest
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import AA, BB, assert_refused

LINE = f"{AA}  gzip\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"{AA} gzip\n", 1, "not a checksum line"),
        (f"{AA} *gzip\n", 1, "not a checksum line"),
        (f"\\{AA}  gz\\\\ip\n", 1, "not a checksum line"),
        (f"{AA.upper()}  gzip\n", 1, "not a checksum line"),
        (f"{AA[:-1]}  gzip\n", 1, "not a checksum line"),
        (f"{AA}  ./gzip\n", 1, "not a checksum line"),
        (f"{AA}  a/gzip\n", 1, "not a checksum line"),
        (f"SHA256 (gzip) = {AA}\n", 1, "not a checksum line"),
        (f"# words\n{LINE}", 1, "not a checksum line (got # words)"),
        (f"{LINE}\x1b[2J\n", 2, "got \\x1b[2J"),
        (f"{LINE}{BB}  gzip\n", 2, "name listed twice (got gzip)"),
        (f"{LINE}{LINE}", 2, "name listed twice"),
        (f"{LINE}\n", 2, "not a checksum line"),
        (f"{LINE}{AA}  a\n", 0, "sorted"),
        (f"{AA}  gzip", 0, "one line each"),
        (f"{AA}  gzip\r\n", 0, "one line each"),
        (f"{AA}  gzip\x0b{AA}  gzip.1\n", 0, "one line each"),
        (f"\ufeff{LINE}", 0, "not ASCII (got byte 0)"),
        (f"{AA}  gzi\u0440\n", 0, "not ASCII (got byte 69)"),
        (f"{AA}  a\u202eb\n", 0, "not ASCII"),
        *(
            (f"{AA}  {name}\n", 1, "not a checksum line")
            for name in ("", "-x", "..", "a b", "$(id)")
        ),
    ],
)
def test_other_forms_are_refused(text: str, line: int, words: str) -> None:
    place = f"SHA256SUMS:{line}" if line else "SHA256SUMS"
    assert_refused(parse_manifest, text.encode(), place, words)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        parse_manifest(encode_manifest({name: AA}))


def test_manifests_too_large_are_refused() -> None:
    data = b"\n" * (MAX_MANIFEST_BYTES + 1)
    assert_refused(parse_manifest, data, "SHA256SUMS", f"at most {MAX_MANIFEST_BYTES} bytes")


def test_an_empty_manifest_lists_nothing() -> None:
    assert parse_manifest(b"") == {}


def test_sha256sum_agrees(tmp_path: Path) -> None:
    files = {"gzip": b"one", "g++-1.0~rc_2.tar.gz": b"", "_x": b"\x00"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = encode_manifest(digests)
    written = subprocess.run(
        ["sha256sum", "--", *sorted(files)], cwd=tmp_path, capture_output=True, check=True
    )
    assert written.stdout == manifest
    command = ["sha256sum", "--check", "--strict", "-"]
    done = subprocess.run(command, cwd=tmp_path, input=manifest, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.count(b": OK\n") == len(files)
    (tmp_path / "gzip").write_bytes(b"two")
    done = subprocess.run(command, cwd=tmp_path, input=manifest, capture_output=True, check=False)
    assert done.returncode == 1
