"""Documents made to cost time or memory: refused within bounds, with the right exit code."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.root import MAX_ROOT_BYTES
from tests.hostile.downloads import BUNDLE, MIB, Files, lasting, lines_of, put, verify
from tests.verify.releases import signed_root

BRACKETS = 100_000
DIGITS = b"9" * 1_000_000
REFUSED, BAD_INPUT, NOT_ENOUGH = 1, 2, 3
LARGEST = {BUNDLE: 64 * MIB, "root.json": MAX_ROOT_BYTES}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a good download."""
    return put(tmp_path_factory.mktemp("good"), lasting())


def copy_of(good: Path, folder: Path, **changed: bytes) -> Path:
    """Return a copy of a download with other bytes in some files."""
    for path in good.iterdir():
        (folder / path.name).write_bytes(changed.get(path.name, path.read_bytes()))
    return folder


def test_the_good_download_is_verified(good: Path) -> None:
    done = verify(good)
    assert (done.returncode, done.stderr) == (0, b""), done
    lines_of(done)


def many_members(count: int) -> bytes:
    """Return a root whose list of members is long, otherwise one of ours."""
    table = json.loads(signed_root(lasting().root))
    members = table["signed"]["x-relsign"]["members"]
    members[:] = [{**members[0], "name": f"m{n:06}"} for n in range(count)]
    return json.dumps(table, sort_keys=True, separators=(",", ":")).encode()


def many_signatures(count: int) -> bytes:
    table = json.loads(signed_root(lasting().root))
    table["signatures"] = [{"keyid": f"{n:064x}", "sig": "ab" * 64} for n in range(count)]
    return json.dumps(table, sort_keys=True, separators=(",", ":")).encode()


ANY_DOCUMENT: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "brackets": lambda: b"[" * BRACKETS,
    "braces": lambda: b'{"a":' * BRACKETS,
    "a number of a million digits": lambda: b'{"format":' + DIGITS + b"}",
    "a fraction of a million digits": lambda: b'{"format":1.' + DIGITS + b"}",
    "a power of a million digits": lambda: b'{"format":1e' + DIGITS + b"}",
    "a string of a million escapes": lambda: b'{"format":"' + b"\\u202e" * 500_000 + b'"}',
    "a name of two mebibytes": lambda: b'{"' + b"x" * (2 * MIB) + b'":1}',
    "a hundred thousand names": lambda: json.dumps({f"n{n}": n for n in range(100_000)}).encode(),
    "one name a hundred thousand times": lambda: b"{" + b'"a":1,' * 100_000 + b'"a":1}',
    "not UTF-8": lambda: b"\xff" * MIB,
    "zeros": lambda: bytes(MIB),
}


@pytest.mark.parametrize("where", [BUNDLE, "root.json"])
@pytest.mark.parametrize("name", ANY_DOCUMENT)
def test_a_document_made_to_be_slow(good: Path, tmp_path: Path, name: str, where: str) -> None:
    document = ANY_DOCUMENT[name]()
    done = verify(copy_of(good, tmp_path, **{where: document}))
    too_large = len(document) > LARGEST[where]
    assert done.returncode == (BAD_INPUT if too_large else REFUSED), done
    assert lines_of(done)[0].startswith("error:" if too_large else "REFUSED")


@pytest.mark.parametrize("where", [BUNDLE, "root.json"])
def test_a_document_of_64_mebibytes(good: Path, tmp_path: Path, where: str) -> None:
    done = verify(copy_of(good, tmp_path, **{where: b"[" * (64 * MIB + 1)}), mebibytes=512)
    assert done.returncode == BAD_INPUT, done
    assert "too large" in lines_of(done)[0]


FULL = 47 * MIB


@pytest.mark.parametrize(
    "document",
    [
        b"[" * FULL,
        b'"' + b"x" * FULL + b'"',
        b"[" + b"1," * (FULL // 2) + b"1]",
        b"9" * FULL,
        b'{"files":{"a":"' + b"A" * FULL + b'"},"format":"relsign/bundle/1","project":"demo"}',
    ],
)
def test_a_bundle_as_large_as_may_be(good: Path, tmp_path: Path, document: bytes) -> None:
    done = verify(copy_of(good, tmp_path, **{BUNDLE: document}))
    assert done.returncode == REFUSED, done
    lines_of(done)


ROOTS: dict[str, Callable[[], bytes]] = {
    "257 members": lambda: many_members(257),
    "as many members as fit": lambda: many_members(2_000),
    "a hundred thousand members": lambda: many_members(100_000),
    "as many signatures as fit": lambda: many_signatures(2_000),
    "20,000 signatures": lambda: many_signatures(20_000),
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_of_very_many(good: Path, tmp_path: Path, name: str) -> None:
    root = ROOTS[name]()
    done = verify(copy_of(good, tmp_path, **{"root.json": root}))
    assert done.returncode == (BAD_INPUT if len(root) > MAX_ROOT_BYTES else REFUSED), done
    lines_of(done)


def envelope(payload: bytes, signatures: int = 1) -> bytes:
    """Return an envelope with signatures that are none."""
    sig = base64.b64encode(bytes(64)).decode()
    table = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": INTOTO_PAYLOAD,
        "signatures": [{"keyid": f"{n:064x}", "sig": sig} for n in range(signatures)],
    }
    return json.dumps(table).encode()


INSIDE: dict[str, Callable[[], Files]] = {
    "20,000 signatures of the statement": lambda: {STATEMENT_FILE: envelope(b"{}", 20_000)},
    "64 signatures of the statement": lambda: {STATEMENT_FILE: envelope(b"{}", 64)},
    "20,000 signatures of the layout": lambda: {LAYOUT_FILE: envelope(b"{}", 20_000)},
    "brackets in the statement": lambda: {STATEMENT_FILE: envelope(b"[" * BRACKETS)},
    "brackets for the statement": lambda: {STATEMENT_FILE: b"[" * BRACKETS},
    "digits in the statement": lambda: {STATEMENT_FILE: envelope(b'{"a":' + DIGITS + b"}")},
    "brackets for the layout": lambda: {LAYOUT_FILE: b"[" * BRACKETS},
    "a statement of 17 mebibytes": lambda: {STATEMENT_FILE: envelope(b" " * (17 * MIB))},
    "a layout of 17 mebibytes": lambda: {LAYOUT_FILE: envelope(b" " * (17 * MIB))},
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_file_in_the_bundle_made_to_be_slow(tmp_path: Path, name: str) -> None:
    release = lasting(lambda files: files | INSIDE[name]())
    done = verify(put(tmp_path, release))
    # Nobody of the root signed the large layout: that is all that is looked at.
    unsigned = name == "a layout of 17 mebibytes"
    assert done.returncode == (NOT_ENOUGH if unsigned else REFUSED), done
    lines_of(done)


IGNORED: dict[str, Callable[[], Files]] = {
    "900 links of nobody": lambda: {f"build.{n:08x}.link": b"[" * 10_000 for n in range(900)},
    "900 files of provenance": lambda: {f"b{n}.intoto.jsonl": b"{}\n" * 2_000 for n in range(900)},
    "a link of 20 mebibytes": lambda: {"build.00000000.link": b"[" * (20 * MIB)},
    "900 names": lambda: {f"{n:0199}": b"" for n in range(900)},
}


@pytest.mark.parametrize("name", IGNORED)
def test_evidence_that_is_ignored_costs_little(tmp_path: Path, name: str) -> None:
    folder = put(tmp_path, lasting(lambda files: files | IGNORED[name]()))
    for words in ((), ("-v",)):
        done = verify(folder, *words)
        assert done.returncode == 0, done
        lines_of(done)


def test_more_files_than_a_bundle_may_hold(tmp_path: Path) -> None:
    done = verify(put(tmp_path, lasting(lambda f: f | {f"f{n}": b"" for n in range(100_000)})))
    assert done.returncode == REFUSED, done
    lines_of(done)
