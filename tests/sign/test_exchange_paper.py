"""Paper between two folders: packed, drawn, read back, and what the codes really say."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import segno

from relsign.errors import HostError, InputError
from relsign.formats.paper import pack, unpack
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.paper import carry_in, gather, terminal_code, write_codes
from tests.sign.qr import read_code

A, B = "ab" * 32, "cd" * 32
SHORT = pack({A: (b"hello",)})


def folder(path: Path) -> DirectoryExchange:
    path.mkdir()
    return DirectoryExchange(path)


def test_messages_go_to_a_machine_without_a_network_and_back(tmp_path: Path) -> None:
    here, there = folder(tmp_path / "here"), folder(tmp_path / "there")
    here.put(A, b"round 1 of ann")
    here.put(B, b"a session")
    there.put(A, b"round 1 of bo")
    text = "\n".join(pack(gather(here, [A, B, "ef" * 32])))
    assert carry_in(there, unpack(text).parcel) == 2
    assert carry_in(there, unpack(text).parcel) == 2
    assert carry_in(here, unpack("\n".join(pack(gather(there, [A])))).parcel) == 2
    for one in (here, there):
        assert set(one.messages(A).messages) == {b"round 1 of ann", b"round 1 of bo"}
        assert one.messages(B).messages == (b"a session",)


def test_a_bad_parcel_puts_nothing_anywhere(tmp_path: Path) -> None:
    here = folder(tmp_path / "here")
    with pytest.raises(InputError, match="not a topic"):
        carry_in(here, {A: (b"x",), "../x": (b"y",)})
    assert list(here.folder.iterdir()) == []


def test_the_codes_say_what_the_parts_say(tmp_path: Path) -> None:
    for part in (
        *SHORT,
        "RELSIGN1/1/1/00000000/A.",
        "RELSIGN1/999/999/0123ABCD/" + "Z7" * 40 + ".",
    ):
        lines = terminal_code(part)
        assert len({len(line) for line in lines}) == 1
        assert read_code(from_blocks(lines)) == part
    for path in write_codes(SHORT, tmp_path, "svg"):
        assert ET.fromstring(path.read_text()).tag.endswith("svg")  # noqa: S314 - our own file


def from_blocks(lines: tuple[str, ...]) -> list[list[int]]:
    """Return the modules of a code that is drawn in half blocks, dark ones as 1."""
    pairs = {" ": (1, 1), "\u2580": (0, 1), "\u2584": (1, 0), "\u2588": (0, 0)}
    rows = [[pairs[sign][half] for sign in line] for line in lines for half in (0, 1)]
    size = len(rows[0]) - 8
    assert not any(any(row) for row in rows[:4])
    return [row[4 : 4 + size] for row in rows[4 : 4 + size]]


def test_long_parts_are_codes_a_telephone_reads() -> None:
    parts = pack({A: (bytes(range(256)) * 8, segno.__version__.encode())})
    for part in parts:
        code = segno.make_qr(part, error="m", mode="alphanumeric", boost_error=False)
        assert isinstance(code.version, int)
        assert (code.mode, code.error, code.version <= 20) == ("alphanumeric", "M", True)


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_are_named_so_that_they_sort(tmp_path: Path, kind: str, start: bytes) -> None:
    parts = pack({A: tuple(hashlib.shake_128(b"%d" % n).digest(3000) for n in range(2))})
    paths = write_codes(parts, tmp_path / "codes", kind)
    assert len(paths) == len(parts) == 12
    assert sorted(paths) == list(paths)
    assert paths[0].name == f"{parts[0].split('/')[3]}-01-of-12.{kind}"
    assert all(path.read_bytes().startswith(start) for path in paths)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError):
        write_codes(SHORT, tmp_path / "file", "png")
