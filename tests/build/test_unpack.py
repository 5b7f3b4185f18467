"""Archives: what is honest comes out the same everywhere, the rest is refused by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.build.archives.members import Limits
from relsign.build.archives.unpack import (
    Placement,
    Unpacked,
    write_file_tar,
    write_source_tar,
)
from relsign.errors import InputError
from tests.build.archives import END, Entry, block, pax, record, tar, with_name, with_size, zipped

SMALL = Limits(entries=50, total_bytes=1 << 20, ratio=100, ratio_free_bytes=1 << 16)
FOLDER, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
RELEASE = (
    Entry("p-1/", type=FOLDER, mode=0o2775),
    Entry("p-1/b", b"bee", mode=0o4777, mtime=1_600_000_007),
    Entry("p-1/a/", type=FOLDER),
    Entry("p-1/a/x", b"eks", mode=0o600),
    Entry("p-1/a-b", b"dash"),
    Entry("p-1/to", type=LINK, target="a/x"),
    Entry("p-1/a/up", type=LINK, target="../b"),
    Entry("p-1/hard", type=HARD, target="p-1/b"),
)


def unpack(
    folder: Path, archive: bytes, placement: Placement | None = None, limits: Limits = SMALL
) -> tuple[bytes, Unpacked]:
    path = folder / "archive"
    path.write_bytes(archive)
    sink = io.BytesIO()
    result = write_source_tar(
        path, sink, placement or Placement("src"), limits=limits, where="here"
    )
    return sink.getvalue(), result


def listed(stream: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        return {member.name: member for member in archive}


# --- honest -----------------------------------------------------------------------------------


def test_members_come_out_sorted_and_normalised(tmp_path: Path) -> None:
    stream, result = unpack(tmp_path, tar(*RELEASE), Placement("build/p", strip=1))
    members = listed(stream)
    assert list(members) == [
        *("build", "build/p", "build/p/a", "build/p/a-b", "build/p/a/up", "build/p/a/x"),
        *("build/p/b", "build/p/hard", "build/p/to"),
    ]
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {
        (1000, 1000, "")
    }
    modes = {name.removeprefix("build/p/"): member.mode for name, member in members.items()}
    assert modes["b"] == modes["hard"] == modes["a"] == 0o755
    assert modes["a/x"] == modes["a-b"] == 0o644
    assert members["build/p/b"].mtime == 1_600_000_007
    assert members["build"].mtime == 1_600_000_007
    assert members["build/p/to"].linkname == "a/x"
    assert result == Unpacked(entries=7, size=13, newest_mtime=1_600_000_007)


def test_contents_and_hard_links_survive(tmp_path: Path) -> None:
    stream, _ = unpack(tmp_path, tar(*RELEASE), Placement("", strip=1))
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        contents = {m.name: archive.extractfile(m) for m in archive if m.isreg()}
        assert {name: file.read() for name, file in contents.items() if file} == {
            "a-b": b"dash",
            "a/x": b"eks",
            "b": b"bee",
            "hard": b"bee",
        }


def test_the_order_in_the_archive_does_not_matter(tmp_path: Path) -> None:
    files = [entry for entry in RELEASE if entry.type != HARD]
    forward, _ = unpack(tmp_path, tar(*files), Placement("s", strip=1, mtime=5))
    backward, _ = unpack(tmp_path, tar(*reversed(files)), Placement("s", strip=1, mtime=5))
    assert forward == backward
    assert {member.mtime for member in listed(forward).values()} == {5}


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: lzma.compress(data[:512]) + bytes(8) + lzma.compress(data[512:]),
        lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    ],
    ids=["plain", "gz", "bz2", "xz", "xz in two streams", "gz in two members"],
)
def test_every_compression_gives_the_same_tar(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    plain, _ = unpack(tmp_path, tar(*RELEASE))
    packed, _ = unpack(tmp_path, pack(tar(*RELEASE)))
    assert packed == plain


def test_a_zip_is_read_like_a_tar(tmp_path: Path) -> None:
    archive = zipped(
        ("p/z.py", b"zed", 0o100644),
        ("p/run", b"#!", 0o100755),
        ("p/", b"", 0o40755),
        ("p/dos", b"no mode", 0),
        ("p/to", b"run", stat.S_IFLNK | 0o777),
    )
    members = listed(unpack(tmp_path, archive, Placement("w"))[0])
    assert list(members) == ["w", "w/p", "w/p/dos", "w/p/run", "w/p/to", "w/p/z.py"]
    assert members["w/p/run"].mode == 0o755
    assert members["w/p/z.py"].mode == members["w/p/dos"].mode == 0o644
    assert members["w/p/to"].linkname == "run"
    assert members["w/p/z.py"].mtime == 1_580_601_600


@pytest.mark.parametrize(
    "entry",
    [
        pax(record("path", "p/" + "n" * 150), record("mtime", "12.9"), record("atime", "1.5")),
        pax(record("comment", "0123abcd"), everywhere=True),
        pax(record("SCHILY.xattr.user.a", "b"), record("LIBARCHIVE.creationtime", "1")),
    ],
    ids=["long name", "git's comment", "other tools' keys"],
)
def test_extension_headers_that_are_understood(tmp_path: Path, entry: Entry) -> None:
    stream, result = unpack(tmp_path, tar(entry, Entry("p/f", b"x")))
    assert result.entries == 1
    if b"path=" in entry.data:
        (member,) = (member for member in listed(stream).values() if member.isreg())
        assert member.name == "src/p/" + "n" * 150
        assert member.mtime == 12


def test_gnu_long_names_and_targets(tmp_path: Path) -> None:
    name = "p/" + "/".join(["d" * 60] * 4)
    entries = (Entry(name, b"x"), Entry("p/link", type=LINK, target=name.removeprefix("p/")))
    members = listed(unpack(tmp_path, tar(*entries))[0])
    assert members["src/p/link"].linkname == name.removeprefix("p/")


def test_a_file_that_is_not_to_be_unpacked_travels_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"raw")
    sink = io.BytesIO()
    write_file_tar(tmp_path / "f", sink, "src/raw.bin", mtime=9)
    members = listed(sink.getvalue())
    assert [(m.name, m.size, m.mtime) for m in members.values()] == [
        ("src", 0, 9),
        ("src/raw.bin", 3, 9),
    ]


# --- hostile ----------------------------------------------------------------------------------

FILE = Entry("p/f", b"data")
DEEP = "/".join("d" * 1 for _ in range(65))
BAD_TARS = {
    "absolute": (tar(Entry("/etc/passwd", b"x")), "absolute name"),
    "dot dot": (tar(Entry("p/../../x", b"x")), "'..' part"),
    "dot dot alone": (tar(Entry("..", type=FOLDER)), "'..' part"),
    "dot inside": (tar(Entry("p/./x", b"x")), "'.' or"),
    "empty part": (tar(Entry("p//x", b"x")), "empty"),
    "no name": (tar(Entry("", b"x")), "empty"),
    "newline": (tar(Entry("p/a\nb", b"x")), "control"),
    "escape": (tar(Entry("p/\x1b[2J", b"x")), "control"),
    "right to left": (tar(Entry("p/\u202egpj.sh", b"x")), "control or formatting"),
    "line separator": (tar(Entry("p/a\u2028b", b"x")), "control or formatting"),
    "not UTF-8": (tar(Entry("p/\udcff", b"x")), "header"),
    "long part": (tar(Entry("p/" + "n" * 256, b"x")), "part of a name is too long"),
    "long path": (tar(Entry("/".join(["n" * 100] * 11), b"x")), "name is too long"),
    "deep path": (tar(Entry(DEEP, b"x")), "name is too long"),
    "twice": (tar(FILE, FILE), "stands twice"),
    "twice, other spelling": (tar(FILE, Entry("./p/f", b"x")), "stands twice"),
    "folder twice": (tar(Entry("p/", type=FOLDER), Entry("p", type=FOLDER)), "stands twice"),
    "below a file": (tar(FILE, Entry("p/f/x", b"x")), "not a folder"),
    "below a link": (
        tar(Entry("p/l", type=LINK, target="."), Entry("p/l/x", b"x")),
        "not a folder",
    ),
    "link later": (tar(Entry("p/l/x", b"x"), Entry("p/l", type=LINK, target=".")), "not a folder"),
    "link absolute": (tar(Entry("p/l", type=LINK, target="/etc")), "absolute"),
    "link empty": (tar(Entry("p/l", type=LINK)), "empty"),
    "link out": (tar(Entry("p/l", type=LINK, target="../../x")), "leads out"),
    "link by a link": (
        tar(
            Entry("a/b/l", type=LINK, target="../.."),
            Entry("m", type=LINK, target="a/b/l/../../x"),
        ),
        "'..' behind",
    ),
    "link with newline": (tar(Entry("p/l", type=LINK, target="a\nb")), "control"),
    "link with contents": (tar(Entry("p/l", b"x" * 512, LINK, target="f")), "with contents"),
    "hard link out": (tar(Entry("p/h", type=HARD, target="/etc/shadow")), "absolute"),
    "hard link up": (tar(Entry("p/h", type=HARD, target="../x")), "'..' part"),
    "hard link to nothing": (tar(Entry("p/h", type=HARD, target="p/f")), "not an earlier file"),
    "hard link to a link": (
        tar(Entry("p/l", type=LINK, target="x"), Entry("p/h", type=HARD, target="p/l")),
        "not an earlier file",
    ),
    "character device": (tar(Entry("p/null", type=tarfile.CHRTYPE)), "device"),
    "block device": (tar(Entry("p/sda", type=tarfile.BLKTYPE)), "device"),
    "fifo": (tar(Entry("p/pipe", type=tarfile.FIFOTYPE)), "fifo"),
    "sparse": (tar(Entry("p/s", type=tarfile.GNUTYPE_SPARSE)), "sparse"),
    "sparse by pax": (tar(pax(record("GNU.sparse.major", "1")), FILE), "not understood"),
    "unknown type": (tar(Entry("p/v", type=b"V")), "type"),
    "folder with contents": (tar(Entry("p/", b"x" * 512, FOLDER)), "with contents"),
    "too many": (tar(*(Entry(f"p/{i}", b"") for i in range(51))), "more than 50 entries"),
    "size beyond the end": (tar(Entry("p/f", b"x", size=1 << 40)), "ends too early"),
    "size into the next": (tar(Entry("p/f", b"x", size=513), end=b""), "ends too early"),
    "negative size": (tar(Entry("p/f", size=-1)), "negative size"),
    "size by pax": (tar(pax(record("size", "99999999")), FILE), "ends too early"),
    "bad number": (tar(pax(record("size", "-1")), FILE), "bad number"),
    "huge number": (tar(pax(record("mtime", "9" * 4000)), FILE), "bad number"),
    "year 10000": (tar(pax(record("mtime", "999999999999")), FILE), "time out of range"),
    "before 1970": (tar(Entry("p/f", b"x", mtime=-5)), "time out of range"),
    "path everywhere": (tar(pax(record("path", "q"), everywhere=True), FILE), "not understood"),
    "pax escape": (tar(pax(record("path", "../../x")), FILE), "'..' part"),
    "pax nul": (tar(pax(record("path", "a\0b")), FILE), "control"),
    "pax garbage": (tar(pax(b"hello"), FILE), "damaged extension"),
    "pax length": (tar(pax(b"99 path=x\n"), FILE), "damaged extension"),
    "pax zero length": (tar(pax(b"0 path=x\n"), FILE), "damaged extension"),
    "pax not UTF-8": (tar(pax(b"12 path=\xff\xfe\n"), FILE), "extension"),
    "pax for nobody": (tar(pax(record("path", "x"))), "without a member"),
    "huge extension": (tar(Entry("x", type=b"x", size=1 << 33)), "too large"),
    "huge long name": (tar(Entry("x", type=b"L", size=1 << 33)), "too large"),
    "nothing": (END, "holds nothing"),
    "no end": (tar(FILE, end=b""), "ends too early"),
    "cut header": (tar(FILE)[:700], "ends too early"),
    "second archive": (tar(FILE) + tar(Entry("p/g", b"x")), "after its end"),
    "bad checksum": (b"x" + tar(FILE)[1:], "damaged header"),
    "empty file": (b"", "ends too early"),
    "not an archive": (b"#!/bin/sh\nexit 0\n" * 100, "damaged header"),
    "cut gzip": (gzip.compress(tar(FILE))[:-9], "damaged"),
    "gzip with a bad sum": (gzip.compress(tar(FILE))[:-8] + bytes(8), "damaged"),
    "gzip and junk": (gzip.compress(tar(FILE)) + b"junk", "damaged"),
    "cut xz": (lzma.compress(tar(FILE))[:-20], "damaged"),
    "bad xz": (b"\xfd7zXZ\0" + b"junk" * 20, "damaged"),
    "bad bz2": (b"BZh9" + b"junk" * 20, "damaged"),
    "bomb": (gzip.compress(tar(Entry("p/f", bytes(1 << 20)))), "grows too much"),
    "xz bomb": (lzma.compress(tar(Entry("p/f", bytes(1 << 20)))), "grows too much"),
    "bomb behind the end": (gzip.compress(tar(FILE) + bytes(1 << 20)), "grows too much"),
    "packed hard link bomb": (
        gzip.compress(
            tar(
                Entry("p/f", bytes(1 << 15)),
                *(Entry(f"p/{i}", type=HARD, target="p/f") for i in range(3)),
            )
        ),
        "more than 65536 bytes",
    ),
    "hard link bomb": (
        tar(
            Entry("p/f", bytes(1 << 16)),
            *(Entry(f"p/{i}", type=HARD, target="p/f") for i in range(20)),
        ),
        "more than 1048576 bytes",
    ),
}


@pytest.mark.parametrize("case", BAD_TARS)
def test_a_hostile_tar_is_refused(tmp_path: Path, case: str) -> None:
    archive, what = BAD_TARS[case]
    refused(tmp_path, archive, what)


def refused(folder: Path, archive: bytes, what: str, strip: int = 0) -> InputError:
    with pytest.raises(InputError) as caught:
        unpack(folder, archive, Placement("src", strip=strip))
    error = caught.value
    assert what in f"{error.what} {error.got}"
    assert error.where == "here"
    assert f"{error}".isprintable()
    assert f"{error}".isascii()
    assert sorted(path.name for path in folder.iterdir()) == ["archive"]
    return error


def with_count(archive: bytes, count: int) -> bytes:
    """Return a zip whose end record states another number of members."""
    return archive[:-14] + struct.pack("<2H", count, count) + archive[-10:]


PLAIN_ZIP = zipped(("p/f", b"data", 0o100644), method=zipfile.ZIP_STORED)
BAD_ZIPS = {
    "dot dot": (zipped(("../x", b"", 0)), "'..' part"),
    "absolute": (zipped(("/x", b"", 0)), "absolute"),
    "newline": (zipped(("a\nb", b"", 0)), "control"),
    "NUL": (with_name(zipped(("a!b", b"", 0)), b"a!b", b"a\0b"), "NUL"),
    "device": (zipped(("p/d", b"", stat.S_IFCHR | 0o666)), "device"),
    "fifo": (zipped(("p/d", b"", stat.S_IFIFO | 0o666)), "fifo"),
    "link out": (zipped(("p/l", b"../../x", stat.S_IFLNK | 0o777)), "leads out"),
    "link not UTF-8": (zipped(("p/l", b"\xff", stat.S_IFLNK | 0o777)), "not UTF-8"),
    "link too long": (zipped(("p/l", b"x" * 1025, stat.S_IFLNK | 0o777)), "too long"),
    "below a link": (
        zipped(("p/l", b".", stat.S_IFLNK | 0o777), ("p/l/x", b"", 0)),
        "not a folder",
    ),
    "folder with contents": (zipped(("p/", b"x", 0o40755)), "with contents"),
    "unusual compression": (zipped(("p", b"x" * 99, 0), method=zipfile.ZIP_LZMA), "unusual"),
    "too many": (zipped(*((f"p/{i}", b"", 0) for i in range(51))), "too many entries"),
    "announces less": (with_size(PLAIN_ZIP, 3), "archive refused"),
    "announces more": (with_size(PLAIN_ZIP, 5), "archive refused"),
    "bomb": (zipped(("p/f", bytes(1 << 20), 0)), "more than"),
    "other local name": (PLAIN_ZIP.replace(b"p/f", b"p/g", 1), "damaged"),
    "bad checksum": (PLAIN_ZIP.replace(b"data", b"DATA"), "damaged"),
    "cut": (PLAIN_ZIP[:-30], "no end record"),
    "comment": (PLAIN_ZIP[:-2] + b"\x01\x00!", "comment in the zip"),
    "more than it says": (with_count(zipped(("p/f", b"", 0), ("p/g", b"", 0)), 1), "damaged zip"),
    "fewer than it says": (with_count(PLAIN_ZIP, 2), "damaged zip"),
    "huge directory": (PLAIN_ZIP[:-10] + b"\0\0\0\x7f" + PLAIN_ZIP[-6:], "a directory too large"),
    "front matter cut": (PLAIN_ZIP[:4] + PLAIN_ZIP[50:], "damaged"),
    "zip64": (
        PLAIN_ZIP[:-22] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + PLAIN_ZIP[-22:],
        "zip64",
    ),
    "parts": (PLAIN_ZIP[:-18] + b"\x01\x00" + PLAIN_ZIP[-16:], "parts"),
    "odd month": (PLAIN_ZIP.replace(struct.pack("<H", 40 << 9 | 2 << 5 | 2), b"\xff\xff"), ""),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_a_hostile_zip_is_refused(tmp_path: Path, case: str) -> None:
    archive, what = BAD_ZIPS[case]
    refused(tmp_path, archive, what)


def test_twice_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = with_name(zipped(("p/f", b"1", 0), ("p/g", b"2", 0)), b"p/g", b"p/f")
    refused(tmp_path, archive, "stands twice")


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ((Entry("p/f", b"x"), Entry("top", b"x")), "above the stripped folder"),
        ((Entry("p/f", b"x"), Entry("q/g", b"x")), "no common folder"),
        ((Entry("p/", type=FOLDER), Entry("q/", type=FOLDER), Entry("", b"")), "no common folder"),
        ((Entry("p/l", type=LINK, target="../p/f"), FILE), "leads out"),
    ],
)
def test_stripping_hides_nothing(tmp_path: Path, entries: tuple[Entry, ...], what: str) -> None:
    refused(tmp_path, tar(*entries), what, strip=1)


def test_what_is_stripped_is_counted(tmp_path: Path) -> None:
    above = (Entry(f"d{i}/", type=FOLDER) for i in range(51))
    error = refused(tmp_path, tar(*above, Entry("d0/a/f", b"x")), "more than 50 entries", strip=2)
    assert "tar -tv" in error.hint


def test_an_xz_dictionary_that_eats_the_memory_is_refused(tmp_path: Path) -> None:
    # Block header of an xz stream: the LZMA2 property byte 40 asks for 4 GiB.
    greedy = bytearray(lzma.compress(tar(FILE), check=lzma.CHECK_NONE))
    header = bytearray(greedy[12:24])
    header[4] = 40
    header[8:] = struct.pack("<L", zlib_crc(bytes(header[:8])))
    greedy[12:24] = header
    refused(tmp_path, bytes(greedy), "damaged")


def zlib_crc(data: bytes) -> int:
    import zlib  # noqa: PLC0415 - one use

    return zlib.crc32(data)


@given(st.binary(max_size=2000))
def test_any_bytes_give_our_error_or_a_tar(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.raises(InputError):
        unpack(folder, data)


@given(st.data())
def test_a_flipped_byte_gives_our_error_or_a_tar(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    honest = data.draw(st.sampled_from([tar(*RELEASE), PLAIN_ZIP, gzip.compress(tar(FILE))]))
    place = data.draw(st.integers(0, len(honest) - 1))
    changed = honest[:place] + bytes([data.draw(st.integers(0, 255))]) + honest[place + 1 :]
    try:
        stream, _ = unpack(folder, changed)
    except InputError:
        return
    assert all(name.split("/")[0] == "src" for name in listed(stream))


def test_an_end_of_one_block_is_enough(tmp_path: Path) -> None:
    assert unpack(tmp_path, block(FILE) + END[:512])[1].entries == 1
