"""Archives made to do harm, or to be read in two ways: refused by name, the file untouched."""

from __future__ import annotations

import gzip
import io
import random
import re
import resource
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from relsign.build.archives.members import Limits
from relsign.build.normalise.apply import REWRITES, normalise_file, same_after
from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.names import Normaliser
from tests.build.archives import Entry, pax, record, tar, zipped
from tests.build.normalise.makers import EPOCH, MAKERS, ONE, make

SMALL = Limits(entries=20, total_bytes=1 << 20, ratio=50, ratio_free_bytes=1 << 16)
FILE, LINK = 0o100644, stat.S_IFLNK | 0o777


def member(name: bytes, data: bytes = b"x", **fields: bytes) -> bytes:
    """Return an ar member whose header may lie."""
    said = {"mtime": b"1", "uid": b"0", "gid": b"0", "mode": b"644", "end": b"`\n"} | fields
    size = said.get("size", b"%d" % len(data))
    head = b"%-16s%-12s%-6s%-6s%-8s%-10s%s" % (
        name, said["mtime"], said["uid"], said["gid"], said["mode"], size, said["end"])  # fmt: skip
    return head + data + b"\n" * (len(data) % 2)


def library(*members: bytes) -> bytes:
    return b"!<arch>\n" + b"".join(members)


def flagged(flag: int, rest: bytes) -> bytes:
    """Return a gzip file with a header flag and what stands behind the header."""
    plain = gzip.compress(b"x" * 100)
    return plain[:3] + bytes([flag]) + plain[4:10] + rest + plain[10:]


def patched(archive: bytes, magic: bytes, offset: int, value: bytes) -> bytes:
    """Return a zip whose last record of a kind holds another value."""
    at = archive.rindex(magic) + offset
    return archive[:at] + value + archive[at + len(value) :]


def with_extra(number: int, data: bytes = b"", said: int | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("name", (2020, 1, 1, 0, 0, 0))
        info.extra = struct.pack("<2H", number, len(data) if said is None else said) + data
        archive.writestr(info, b"x")
    return stream.getvalue()


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
STORED = zipped(("a", b"data", FILE), ("b", b"more", FILE), method=zipfile.ZIP_STORED)
DEFLATED = zipped(("a", b"data" * 99, FILE))
AT = STORED.index(CENTRAL)
GAP = patched(STORED[:AT] + b"gap" + STORED[AT:], END, 16, struct.pack("<L", AT + 3))
PLAIN = gzip.compress(b"x" * 1000)
TAR = tar(Entry("a", b"x"))
BIG = zipped(("a", b"\0" * (1 << 18), FILE))

REFUSED: dict[str, tuple[Normaliser, bytes, str]] = {
    # tar
    "not a tar": ("tar-1", b"x" * 1024, "not an uncompressed tar"),
    "an empty file as tar": ("tar-1", b"", "not an uncompressed tar"),
    "a compressed tar": ("tar-1", gzip.compress(TAR), "not an uncompressed tar"),
    "tar: traversal": ("tar-1", tar(Entry("../a")), "'..' part (got ../a)"),
    "tar: absolute": ("tar-1", tar(Entry("/a")), "absolute name"),
    "tar: twice": ("tar-1", tar(Entry("a"), Entry("./a")), "name stands twice"),
    "tar: link out": ("tar-1", tar(Entry("a", type=tarfile.SYMTYPE, target="../x")), "leads out"),
    "tar: absolute link": ("tar-1", tar(Entry("a", type=tarfile.SYMTYPE, target="/x")), "absolute"),
    "tar: hard link out": ("tar-1", tar(Entry("a", type=tarfile.LNKTYPE, target="../x")), "'..'"),
    "tar: device": ("tar-1", tar(Entry("a", type=tarfile.BLKTYPE)), "device"),
    "tar: fifo": ("tar-1", tar(Entry("a", type=tarfile.FIFOTYPE)), "fifo"),
    "tar: control character": ("tar-1", tar(Entry("a\x1b[2J")), "control"),
    "tar: right to left": ("tar-1", tar(Entry("a\u202eb")), "control or formatting"),
    "tar: cut off": ("tar-1", TAR[:600], "ends too early"),
    "tar: bytes behind": ("tar-1", TAR + b"x", "bytes after its end"),
    "tar: sparse": ("tar-1", tar(pax(record("GNU.sparse.major", "1")), Entry("a")), "understood"),
    "tar: too many": ("tar-1", tar(*(Entry(f"a{n}") for n in range(21))), "more than 20 entries"),
    "tar: nothing": ("tar-1", tar(Entry("./", type=tarfile.DIRTYPE)), "holds nothing"),
    # gzip
    "not gzip": ("gzip-1", b"PK", "not a gzip file"),
    "gzip: cut off in the header": ("gzip-1", PLAIN[:6], "ends too early"),
    "gzip: cut off in the data": ("gzip-1", PLAIN[:15], "ends too early"),
    "gzip: cut off in the trailer": ("gzip-1", PLAIN[:-1], "ends too early"),
    "gzip: bytes behind": ("gzip-1", PLAIN + b"0123456789", "after its end (got gzip member 2"),
    "gzip: zeros behind": ("gzip-1", PLAIN + bytes(512), "bytes after its end"),
    "gzip: method": ("gzip-1", PLAIN[:2] + b"\x07" + PLAIN[3:], "unknown method or flags"),
    "gzip: reserved flag": ("gzip-1", flagged(0x20, b""), "unknown method or flags"),
    "gzip: endless name": ("gzip-1", flagged(8, b"n" * 70_000), "without an end"),
    "gzip: extra beyond": ("gzip-1", PLAIN[:3] + b"\x04" + PLAIN[4:10] + b"\xff\xff", "too early"),
    "gzip: damaged data": ("gzip-1", PLAIN[:10] + b"\xff" * 9 + PLAIN[19:], "damaged"),
    "gzip: wrong checksum": ("gzip-1", PLAIN[:-8] + bytes(4) + PLAIN[-4:], "wrong checksum"),
    "gzip: wrong length": ("gzip-1", PLAIN[:-4] + bytes(4), "wrong checksum or length"),
    "gzip: bomb": ("gzip-1", gzip.compress(bytes(1 << 20)), "grows too much"),
    "gzip: bomb in parts": ("gzip-1", gzip.compress(bytes(60_000)) * 3, "grows too much"),
    "gzip: too many members": ("gzip-1", gzip.compress(b"") * 21, "more than 20 gzip members"),
    # ar
    "not ar": ("ar-1", b"x", "not an ar archive"),
    "ar: thin": ("ar-1", b"!<thin>\n" + member(b"a.o/"), "holds paths, not files"),
    "ar: cut off in a header": ("ar-1", library(member(b"a.o/"))[:40], "damaged header"),
    "ar: cut off in a member": ("ar-1", library(member(b"a.o/", b"x" * 99))[:-9], "too early"),
    "ar: size lies": ("ar-1", library(member(b"a.o/", b"x", size=b"99")), "too early"),
    "ar: size is no number": ("ar-1", library(member(b"a", size=b"-1")), "damaged header"),
    "ar: size in parts": ("ar-1", library(member(b"a", size=b"1 1")), "damaged header"),
    "ar: mode in parts": ("ar-1", library(member(b"a", mode=b"6 4")), "damaged header"),
    "ar: mode is not octal": ("ar-1", library(member(b"a", mode=b"9")), "damaged header"),
    "ar: no end mark": ("ar-1", library(member(b"a", end=b"xx")), "damaged header"),
    "ar: bytes behind": ("ar-1", library(member(b"a")) + b"junk", "damaged header"),
    "ar: traversal": ("ar-1", library(member(b"../a/")), "'..' part (got ../a)"),
    "ar: absolute": ("ar-1", library(member(b"/etc/x")), "absolute"),
    "ar: no name": ("ar-1", library(member(b"")), "empty name"),
    "ar: control character": ("ar-1", library(member(b"a\x1b[2J/")), "control"),
    "ar: not UTF-8": ("ar-1", library(member(b"\xff/")), "not UTF-8"),
    "ar: long traversal": (
        "ar-1", library(member(b"//", b"../../a/\n"), member(b"/0")), "'..' part (got ../../a)"),
    "ar: name beyond the table": (
        "ar-1", library(member(b"//", b"a/\n"), member(b"/9")), "not in the table"),
    "ar: no table": ("ar-1", library(member(b"/0")), "not in the table"),
    "ar: two tables": (
        "ar-1", library(member(b"//", b"a/\n"), member(b"//", b"a/\n")), "two tables"),
    "ar: huge table": ("ar-1", library(member(b"//", b"", size=b"99999999")), "too large"),
    "ar: BSD traversal": ("ar-1", library(member(b"#1/4", b"../ax")), "'..' part"),
    "ar: BSD name too long": ("ar-1", library(member(b"#1/9", b"a")), "longer than its member"),
    "ar: BSD empty name": ("ar-1", library(member(b"#1/2", b"\0\0x")), "empty name"),
    "ar: too many": ("ar-1", library(*[member(b"a/")] * 21), "more than 20 members"),
    # zip
    "not zip": ("zip-1", b"x" * 99, "not a zip file"),
    "a program in front": ("zip-1", b"#!x\n" + STORED, "not a zip file"),
    "zip: no end": ("zip-1", STORED[:-22], "no end record"),
    "zip: cut off": ("zip-1", STORED[:-5], "no end record"),
    "zip: nothing": ("zip-1", STORED[-22:-14] + bytes(14), "holds nothing"),
    "zip: bytes behind": ("zip-1", STORED + b"x", "bytes after its end"),
    "zip: hidden in front": ("zip-1", LOCAL + STORED, "around the central directory"),
    "zip: several parts": ("zip-1", patched(STORED, END, 4, b"\1"), "or parts"),
    "zip: too many": (
        "zip-1", zipped(*((f"a{n}", b"", FILE) for n in range(21))), "too many entries"),
    "zip: count too small": (
        "zip-1", patched(STORED, END, 8, b"\1\0\1\0"), "behind the central directory"),
    "zip: count too large": ("zip-1", patched(STORED, END, 8, b"\3\0\3\0"), "too early"),
    "zip: on another part": ("zip-1", patched(STORED, CENTRAL, 34, b"\1"), "damaged central"),
    "zip: damaged directory": ("zip-1", patched(STORED, CENTRAL, 0, b"PK\x01\x03"), "damaged cent"),
    "zip: encrypted": ("zip-1", patched(STORED, CENTRAL, 8, b"\1"), "encrypted"),
    "zip: bzip2": (
        "zip-1", zipped(("a", b"x", FILE), method=zipfile.ZIP_BZIP2), "unusual compression"),
    "zip: one byte, two members": ("zip-1", patched(STORED, CENTRAL, 42, bytes(4)), "overlapping"),
    "zip: offset beyond": ("zip-1", patched(STORED, CENTRAL, 42, b"\xff\xff"), "between members"),
    "zip: gap": (
        "zip-1", GAP, "between members and directory"),
    "zip: other name inside": ("zip-1", patched(STORED, LOCAL, 30, b"c"), "directory differ"),
    "zip: other size inside": ("zip-1", patched(STORED, LOCAL, 22, rb"\9"), "directory differ"),
    "zip: other method inside": ("zip-1", patched(STORED, LOCAL, 8, b"\x08"), "directory differ"),
    "zip: no local header": ("zip-1", patched(STORED, LOCAL, 0, b"PK\x03\x05"), "directory differ"),
    "zip: wrong checksum": ("zip-1", STORED.replace(b"more", b"less"), "length (got b)"),
    "zip: damaged data": ("zip-1", DEFLATED.replace(DEFLATED[31:35], b"\xff" * 4), "damaged"),
    "zip: traversal": ("zip-1", zipped(("../a", b"", FILE)), "'..' part"),
    "zip: absolute": ("zip-1", zipped(("/a", b"", FILE)), "absolute"),
    "zip: backslash is no separator but a dot-dot part is": (
        "zip-1", zipped(("a/../../b", b"", FILE)), "'..' part"),
    "zip: below a file": ("zip-1", zipped(("a", b"", FILE), ("a/b", b"", FILE)), "not a folder"),
    "zip: link out": ("zip-1", zipped(("a", b"../x", LINK)), "leads out"),
    "zip: absolute link": ("zip-1", zipped(("a", b"/x", LINK)), "absolute"),
    "zip: endless link": ("zip-1", zipped(("a", b"x" * 2000, LINK)), "target is too long"),
    "zip: link in no encoding": ("zip-1", zipped(("a", b"\xff", LINK)), "not UTF-8"),
    "zip: fifo": ("zip-1", zipped(("a", b"", stat.S_IFIFO)), "fifo"),
    "zip: a folder that is a file": ("zip-1", zipped(("a/", b"", FILE)), "name of a folder"),
    "zip: a full folder": ("zip-1", zipped(("a/", b"x", 0)), "folder with contents"),
    "zip: bomb": ("zip-1", BIG, "more than 65536 bytes"),
    "zip: lying bomb": (
        "zip-1",
        patched(patched(BIG, CENTRAL, 24, b"\1\0\0\0"), LOCAL, 22, b"\1\0\0\0"),
        "wrong checksum or length",
    ),
    "zip: name in an old encoding": (
        "zip-1", zipped(("a", b"", FILE)).replace(b"a", b"\x84"), "unknown encoding"),
    "zip: zip64": ("zip-1", with_extra(1, bytes(8)), "zip64"),
    "zip: another name in an extra field": ("zip-1", with_extra(0x7075, b"x"), "0x7075"),
    "zip: Android alignment": ("zip-1", with_extra(0xD935, bytes(2)), "0xd935"),
    "zip: damaged extra field": ("zip-1", with_extra(0x5455, b"", 9), "damaged extra field"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name: str, tmp_path: Path) -> None:
    normaliser, data, words = REFUSED[name]
    path = tmp_path / "artifact"
    path.write_bytes(data)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        normalise_file(path, (normaliser,), EPOCH, SMALL)
    assert caught.value.where.startswith("artifact")
    assert caught.value.hint
    assert str(caught.value).isprintable()
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_behind_compressed_data_are_found(tmp_path: Path) -> None:
    """Within what both headers call the member's data, after the stream's own end."""
    packed = zlib.compress(b"data", wbits=-15)
    for padding in (b"hidden", b"h" * (3 << 20)):
        data = zipped(("a", packed + padding, FILE), method=zipfile.ZIP_STORED)
        numbers = struct.pack("<L", zlib.crc32(b"data"))
        for magic, method, crc, size in ((LOCAL, 8, 14, 22), (CENTRAL, 10, 16, 24)):
            data = patched(data, magic, method, b"\x08")
            data = patched(data, magic, crc, numbers)
            data = patched(data, magic, size, struct.pack("<L", 4))
        path = tmp_path / "artifact"
        path.write_bytes(data)
        with pytest.raises(InputError, match="damaged"):
            normalise_file(path, ("zip-1",), EPOCH)


def test_a_descriptor_must_say_what_the_directory_says(tmp_path: Path) -> None:
    path = make("jar", tmp_path, ONE)
    good = path.read_bytes()
    normalise_file(path, ("zip-1",), EPOCH)
    at = good.rindex(b"PK\x07\x08")
    path.write_bytes(good[: at + 8] + b"\7" + good[at + 9 :])
    with pytest.raises(InputError, match="damaged descriptor"):
        normalise_file(path, ("zip-1",), EPOCH)


def test_a_descriptor_may_stand_without_its_magic(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    stored = zipped(("a", b"data", FILE), method=zipfile.ZIP_STORED)
    descriptor = struct.pack("<3L", zlib.crc32(b"data"), 4, 4)
    at = stored.index(CENTRAL)
    data = stored[:at] + descriptor + stored[at:]
    data = patched(data, END, 16, struct.pack("<L", at + 12))
    data = patched(patched(data, LOCAL, 6, b"\x08"), LOCAL, 14, bytes(12))
    path.write_bytes(patched(data, CENTRAL, 8, b"\x08"))
    normalise_file(path, ("zip-1",), EPOCH)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a") == b"data"


@pytest.mark.parametrize("name", MAKERS)
def test_damage_anywhere_gives_an_error_or_an_archive(name: str, tmp_path: Path) -> None:
    """Whatever is flipped or cut: our own error, or output that stays as it is."""
    normaliser = MAKERS[name][0]
    good = make(name, tmp_path, ONE).read_bytes()
    chance = random.Random(name)  # noqa: S311 - the same damage on every run
    for _ in range(400):
        data = bytearray(good)
        for _ in range(chance.choice((1, 1, 3))):
            data[chance.randrange(len(data))] = chance.choice((0, 255, chance.randrange(256)))
        cut = bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
        sink, again = io.BytesIO(), io.BytesIO()
        try:
            REWRITES[normaliser](io.BytesIO(cut), sink, EPOCH, SMALL)
        except InputError:
            continue
        REWRITES[normaliser](io.BytesIO(sink.getvalue()), again, EPOCH, SMALL)
        assert again.getvalue() == sink.getvalue()


def test_only_a_regular_file_is_normalised(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("other")
    with pytest.raises(InputError, match="not a regular file"):
        normalise_file(tmp_path / "link", ("zip-1",), EPOCH)
    with pytest.raises(NotEnoughError, match="no such file"):
        normalise_file(tmp_path / "absent", ("zip-1",), EPOCH)


@pytest.mark.parametrize("names", [("zip-1",), ("zip-1", "zip-1")])
def test_a_full_disk_leaves_the_file_as_it_was(
    names: tuple[Normaliser, ...], tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "artifact"
    path.write_bytes(zipped(("a", b"x" * 50_000, FILE), method=zipfile.ZIP_STORED))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(HostError, match="file too large"):
            normalise_file(path, names, EPOCH)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_while_comparing_is_said(tmp_path: Path) -> None:
    """A tar is read into a temporary file; the limit stands for the disk again."""
    one, two = tmp_path / "one", tmp_path / "two"
    for path, mtime in ((one, 1), (two, 2)):
        path.write_bytes(tar(Entry("a", b"x" * 50_000, mtime=mtime)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(HostError, match="file too large"):
            same_after(one, two, EPOCH)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert same_after(one, two, EPOCH) == ("tar-1",)


def test_malformed_archives_are_never_the_same(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(PLAIN[:-1])
    two.write_bytes(PLAIN[:-2])
    assert same_after(one, two, EPOCH) is None


def test_output_that_waits_inside_the_decoder_is_counted(tmp_path: Path) -> None:
    """All input is taken while there is still output to come, at a boundary of our pieces."""
    path = tmp_path / "artifact"
    for more in range(1, 300, 37):
        path.write_bytes(zipped(("a", bytes((1 << 20) + more), FILE)))
        normalise_file(path, ("zip-1",), EPOCH)
        with zipfile.ZipFile(path) as archive:
            assert archive.infolist()[0].file_size == (1 << 20) + more
