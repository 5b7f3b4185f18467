"""Names made to steer a terminal, or to fill it: shown escaped, cut, and on few lines."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope
from tests.hostile.downloads import BUNDLE, MIB, Files, lasting, lines_of, put, verify
from tests.verify.releases import NAME, changed_link, link_files, make_fingerprint, signature_by

EVIL = "a\x1b[2J\x1b]0;t\x07\n\r\x00\u202e\u2066\u200b\x9b1mVERIFIED  demo-1.0.tar.gz\n"
LONG = "x" * (10 * MIB)
FILE_NAMES = (
    "evil\x1b[2J\x1b]0;title\x07.tar.gz",
    "evil\nVERIFIED  demo-1.0.tar.gz",
    "evil\u202ezg.rat",
    "evil\x7f\x9b\u2066\u200b\ufeff",
    "evil\udcff\udc80",
    "gz\u0131p-\u0430",
    "-v",
    "--root=x",
    "x" * 255,
)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Return the folder of a good download."""
    return put(tmp_path / "download", lasting())


@pytest.mark.parametrize("name", FILE_NAMES, ids=ascii)
def test_the_file_has_an_odd_name(download: Path, name: str) -> None:
    shutil.copy(download / NAME, download / name)
    for words in ((), ("-v",), ("--json",)):
        done = verify(download, *words, file=name)
        assert done.returncode == 1, done
        assert lines_of(done)[0] != "VERIFIED"


@pytest.mark.parametrize("name", FILE_NAMES, ids=ascii)
def test_a_file_of_that_name_is_missing(download: Path, name: str) -> None:
    for words in (("--root", "root.json"), ("--bundle", name), ("--root", name)):
        done = verify(download, *words, file=NAME if words[1] == name else name)
        assert done.returncode in {2, 3, 4}, done
        lines_of(done)


@pytest.mark.parametrize("name", FILE_NAMES, ids=ascii)
def test_bundle_or_root_has_an_odd_name(download: Path, name: str) -> None:
    (download / name).write_bytes(b"{}")
    for words in (("--bundle", name), ("--root", name)):
        done = verify(download, *words)
        assert done.returncode == 1, done
        lines_of(done)


def test_many_bundles_of_odd_names_lie_beside_the_file(download: Path) -> None:
    for number in range(300):
        (download / f"{number}\x1b[2J\n\u202e{'x' * 200}.relsign").write_bytes(b"{}")
    done = verify(download)
    assert done.returncode == 2, done
    lines_of(done)


@pytest.mark.parametrize("text", [EVIL, LONG], ids=["evil", "long"])
@pytest.mark.parametrize(
    "place", ["project", "version", "format", "name of a file", "file", "field", "whole"]
)
def test_a_name_in_the_bundle(download: Path, place: str, text: str) -> None:
    table = json.loads((download / BUNDLE).read_bytes())
    if place == "name of a file":
        table["files"][text] = ""
    elif place == "file":
        table["files"][STATEMENT_FILE] = text
    elif place == "whole":
        table = text
    else:
        table["extra" + text if place == "field" else place] = text
    (download / BUNDLE).write_text(json.dumps(table, sort_keys=True, separators=(",", ":")))
    _refused(download)


def _refused(download: Path) -> None:
    for words in ((), ("-v",), ("--json",)):
        done = verify(download, *words)
        assert done.returncode in {1, 3}, done
        lines_of(done)


def _envelope(payload: object) -> bytes:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Envelope(
        payload=data,
        payload_type=INTOTO_PAYLOAD,
        signatures=tuple(signature_by(name, data) for name in ("sam", "sara", "olga", "oona")),
    ).to_bytes()


INSIDE: dict[str, Callable[[], Files]] = {
    "a statement": lambda: {STATEMENT_FILE: _envelope({EVIL: EVIL})},
    "a statement's project": lambda: {STATEMENT_FILE: _envelope({"predicate": {"project": EVIL}})},
    "a layout": lambda: {LAYOUT_FILE: _envelope({EVIL: EVIL})},
    "a type": lambda: {STATEMENT_FILE: json.dumps({"payload": "", "payloadType": EVIL}).encode()},
    "a keyid": lambda: {LAYOUT_FILE: json.dumps({"signatures": [{"keyid": EVIL}]}).encode()},
    "a fingerprint": lambda: {"linux.fingerprint.json": json.dumps({EVIL: EVIL}).encode()},
    "a newer root": lambda: {"2.root.json": json.dumps({EVIL: EVIL}).encode()},
    "a builder's command": lambda: changed_link("builder-a", "build", command=(EVIL, EVIL * 900)),
    "another builder's command": lambda: changed_link("builder-b", "source", command=(LONG,)),
}


@pytest.mark.parametrize("name", INSIDE)
def test_a_name_inside_a_file_of_the_bundle(tmp_path: Path, name: str) -> None:
    _refused(put(tmp_path, lasting(lambda files: files | INSIDE[name]())))


def test_ignored_files_are_named_on_few_lines(tmp_path: Path) -> None:
    """One signer is missing, and the bundle is full of links and provenance of nobody."""
    other = link_files(make_fingerprint(b"other bytes"), "builder-c")
    junk = {f"{n:0150}.link": b"{" for n in range(400)}
    junk |= {f"{n:0150}.intoto.jsonl": EVIL.encode() for n in range(400)}
    release = lasting(lambda files: files | junk | other)
    release.signers = ("sam",)
    folder = put(tmp_path, release)
    for words in ((), ("-v",)):
        done = verify(folder, *words)
        assert done.returncode == 3, done
        lines_of(done)
    # Scripts get every line of the evidence; a bundle holds a thousand files at most.
    done = verify(folder, "--json")
    assert len(json.loads(done.stdout)["rows"]) == 9
    assert done.stdout.isascii()
    assert done.stdout.count(b"\n") < 1_200


def test_a_bundle_for_another_program(download: Path) -> None:
    """A name is not shown as somebody's who is known: it is refused before."""
    (download / BUNDLE).write_bytes(make_bundle("dem\u043e", "1.0", {}).to_bytes())
    _refused(download)


def test_names_come_back_as_they_are_in_json(download: Path) -> None:
    name = os.fsdecode(b"odd\x1b\xff.tar.gz")
    shutil.copy(download / NAME, download / name)
    document = json.loads(verify(download, "--json", file=name).stdout)
    assert (document["files"][0]["name"], document["verdict"]) == (name, "REFUSED")
