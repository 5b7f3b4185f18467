"""Where two files differ: layer by layer, and bounded whatever they hold."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import resource
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.build.archives.members import Limits
from relsign.build.explain.compare import compare, compare_files, compare_into
from relsign.build.explain.difference import MAX_EXCERPT, Difference
from relsign.build.explain.layers import OUT_BYTES
from relsign.build.explain.piece import Bounds, Work
from relsign.errors import HostError, InputError, NotEnoughError
from tests.build.explain import plants


def tar_bytes(*members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zip_bytes(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def ar_bytes(*members: tuple[str, bytes]) -> bytes:
    rows = (
        f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        + data
        + b"\n" * (len(data) % 2)
        for name, data in members
    )
    return b"!<arch>\n" + b"".join(rows)


def deb_bytes(text: bytes) -> bytes:
    control = gzip.compress(tar_bytes(("./control", b"Package: x\n")), mtime=0)
    data = lzma.compress(tar_bytes(("./usr/share/x.txt", text)))
    return ar_bytes(("debian-binary", b"2.0\n"), ("control.tar.gz", control), ("data.tar.xz", data))


def differ(folder: Path, one: bytes, two: bytes, name: str = "file") -> tuple[Difference, ...]:
    (folder / "one").write_bytes(one)
    (folder / "two").write_bytes(two)
    return compare_files(folder / "one", folder / "two", name)


LAYERS: tuple[tuple[str, Callable[[bytes], bytes], str], ...] = (
    ("tar", lambda text: tar_bytes(("a", b"x"), ("d/b", text)), "file > d/b > line 2"),
    ("gzip", lambda text: gzip.compress(text, mtime=0), "file > line 2"),
    ("bzip2", bz2.compress, "file > line 2"),
    ("xz", lzma.compress, "file > line 2"),
    ("tar.xz", lambda text: lzma.compress(tar_bytes(("b", text))), "file > b > line 2"),
    ("zip", lambda text: zip_bytes(("b", text)), "file > b > line 2"),
    ("ar", lambda text: ar_bytes(("b", text)), "file > b > line 2"),
    ("deb", deb_bytes, "file > data.tar.xz > ./usr/share/x.txt > line 2"),
    (
        "zip in tar",
        lambda text: tar_bytes(("z", zip_bytes(("b", text)))),
        "file > z > b > line 2",
    ),
)


@pytest.mark.parametrize(("name", "make", "place"), LAYERS, ids=[row[0] for row in LAYERS])
def test_the_place_is_found_through_layers(
    name: str, make: Callable[[bytes], bytes], place: str, tmp_path: Path
) -> None:
    del name
    found = differ(tmp_path, make(b"same\nred fox\n"), make(b"same\nred dog\n"))
    assert found == (Difference(place, "text", "red fox", "red dog", "text:line"),)


def test_the_same_bytes_have_no_difference(tmp_path: Path) -> None:
    assert differ(tmp_path, b"same", b"same") == ()


def test_an_empty_file_differs_from_another(tmp_path: Path) -> None:
    (found,) = differ(tmp_path, b"", b"x")
    assert found.kind == "text"


def test_a_container_against_data_is_another_type(tmp_path: Path) -> None:
    found = differ(tmp_path, tar_bytes(("a", b"x")), b"no tar")
    assert [(each.kind, each.one, each.two) for each in found] == [("type", "tar", "data")]


def test_metadata_of_a_tar_is_compared_by_field(tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.mtime, info.mode, info.uid, info.uname = 5, 0o755, 7, "ann"

    one, two = tmp_path / "1", tmp_path / "2"
    for folder in (one, two):
        folder.mkdir()
    paths = plants.tar_of(one, lambda _info: None), plants.tar_of(two, change)
    found = compare_files(*paths, "t")
    assert [(each.place, each.what) for each in found[:4]] == [
        ("t > a.txt", "tar.mtime"),
        ("t > a.txt", "tar.mode"),
        ("t > a.txt", "tar.ids"),
        ("t > a.txt", "tar.owner"),
    ]
    assert len(found) == 12


def test_names_that_differ_by_a_number_are_paired(tmp_path: Path) -> None:
    found = differ(
        tmp_path, tar_bytes(("log-20261121", b"a\n")), tar_bytes(("log-20261122", b"b\n"))
    )
    assert [each.kind for each in found] == ["name", "text"]


def test_sections_of_elf_files_are_named(tmp_path: Path) -> None:
    paths = []
    for side in (0, 1):
        folder = tmp_path / str(side)
        folder.mkdir()
        paths.append(plants.compiler_version(folder, side))
    (found,) = compare_files(paths[0], paths[1], "prog")
    assert found.place == "prog > section .comment > string 1"


def elf_bytes(text: bytes, *, bits: int = 64, order: str = "<") -> bytes:
    """Return an ELF file with one section ``.note.text`` and the section names."""
    names = b"\0.words\0.shstrtab\0"
    wide = bits == 64
    size = 64 if wide else 52
    at_names = size + len(text)
    at_table = at_names + len(names)
    section = f"{order}2L4Q2L2Q" if wide else f"{order}10L"
    rows = ((0,) * 10, (1, 1, 0, 0, size, len(text), 0, 0, 1, 0),
            (8, 3, 0, 0, at_names, len(names), 0, 0, 1, 0))  # fmt: skip
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header = struct.pack(f"{order}HHLQQQLHHHHHH" if wide else f"{order}HHLLLLLHHHHHH", 1, 62, 1, 0,
                         0, at_table, 0, size, 0, 0, struct.calcsize(section), 3, 2)  # fmt: skip
    return ident + header + text + names + b"".join(struct.pack(section, *row) for row in rows)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_elf_of_both_classes_and_byte_orders(bits: int, order: str, tmp_path: Path) -> None:
    one, two = (elf_bytes(text, bits=bits, order=order) for text in (b"fox one", b"dog one"))
    (found,) = differ(tmp_path, one, two)
    assert (found.place, found.one) == ("file > section .words > string 1", "fox one")


def test_long_names_of_gnu_and_bsd_libraries(tmp_path: Path) -> None:
    def gnu(text: bytes) -> bytes:
        names = b"a_long_name_of_an_object.o/\n"
        return ar_bytes(("/", names), ("/0", text)).replace(b"/0/ ", b"/0  ")

    def bsd(text: bytes) -> bytes:
        return ar_bytes(("#1/20", b"a_long_name_of_an.o\0" + text)).replace(b"#1/20/", b"#1/20 ")

    for make, name in ((gnu, "a_long_name_of_an_object.o"), (bsd, "a_long_name_of_an.o")):
        (found,) = differ(tmp_path, make(b"red fox\n"), make(b"red dog\n"))
        assert found.place == f"file > {name} > line 1"


GZIP_BODY = gzip.compress(b"same", mtime=0)[10:]
FIELDS = {
    "gzip.mtime": (b"\x1f\x8b\x08\0\1\0\0\0\0\3", b"\x1f\x8b\x08\0\2\0\0\0\0\3"),
    "gzip.name": (b"\x1f\x8b\x08\x08\0\0\0\0\0\3a\0", b"\x1f\x8b\x08\x08\0\0\0\0\0\3b\0"),
    "gzip.comment": (b"\x1f\x8b\x08\x10\0\0\0\0\0\3a\0", b"\x1f\x8b\x08\x10\0\0\0\0\0\3b\0"),
    "gzip.extra": (b"\x1f\x8b\x08\x04\0\0\0\0\0\3\2\0ab", b"\x1f\x8b\x08\x04\0\0\0\0\0\3\2\0cd"),
    "gzip.level": (b"\x1f\x8b\x08\0\0\0\0\0\2\3", b"\x1f\x8b\x08\0\0\0\0\0\4\3"),
    "gzip.system": (b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"),
}


@pytest.mark.parametrize("what", FIELDS)
def test_fields_of_a_gzip_header(what: str, tmp_path: Path) -> None:
    one, two = FIELDS[what]
    assert [each.what for each in differ(tmp_path, one + GZIP_BODY, two + GZIP_BODY)] == [what]


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        (bz2.compress(b"same" * 9, 1), bz2.compress(b"same" * 9, 9), "bzip2.level"),
        (lzma.compress(b"same", preset=1), lzma.compress(b"same", preset=6), "xz.level"),
        (lzma.compress(b"same"), lzma.compress(b"same", check=lzma.CHECK_CRC32), "xz.check"),
    ],
)
def test_levels_of_other_compressions(one: bytes, two: bytes, what: str, tmp_path: Path) -> None:
    assert differ(tmp_path, one, two)[0].what == what


PYC = b"\xa7\r\r\n" + bytes(12)


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        (PYC, b"\xa8" + PYC[1:], "pyc.version"),
        (PYC, PYC[:4] + b"\1" + PYC[5:], "pyc.flags"),
        (PYC, PYC[:8] + b"\1" + PYC[9:], "pyc.mtime"),
        (PYC + b"\xe3", PYC + b"\x63", "pyc.references"),
        (PYC + b"\xe3", PYC + b"\xe4", "bytes"),
        (PYC, PYC[:12], "unopened"),
    ],
)
def test_compiled_python(one: bytes, two: bytes, what: str, tmp_path: Path) -> None:
    assert differ(tmp_path, one, two, "m.pyc")[0].what == what


# --- hostile -----------------------------------------------------------------------------------

TINY = Bounds(archive=Limits(entries=10, total_bytes=1 << 20, ratio_free_bytes=1 << 16))


def bomb(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def lying_zip(data: bytes) -> bytes:
    """Return a zip whose directory says a member lies outside of the file."""
    start = data.rindex(b"PK\x01\x02")
    return data[: start + 42] + struct.pack("<L", 0x7FFFFFFF) + data[start + 46 :]


def nested(depth: int, text: bytes) -> bytes:
    data = text
    for _ in range(depth):
        data = gzip.compress(data, mtime=0)
    return data


SOME_TAR = tar_bytes(("a", b"text\n"))
SOME_ZIP = zip_bytes(("a", b"text\n"))
SOME_ELF = elf_bytes(b"some words")
HOSTILE = {
    "cut tar": SOME_TAR[:700],
    "tar with a huge extension": tar_bytes(("a" * 300, b"x")).replace(
        b"00000000474", b"77777777777"
    ),
    "tar of many members": tar_bytes(*((str(n), b"") for n in range(20))),
    "tar with links out": tar_bytes(("../../../etc/passwd", b"x")),
    "gzip bomb": gzip.compress(bytes(8 << 20), mtime=0),
    "xz bomb": lzma.compress(bytes(8 << 20)),
    "bzip2 bomb": bz2.compress(bytes(8 << 20)),
    "zip bomb": zip_bytes(("a", bytes(8 << 20))),
    "cut gzip": gzip.compress(b"text" * 99, mtime=0)[:-9],
    "gzip of junk": b"\x1f\x8b\x08\0\0\0\0\0\0\3junkjunkjunk",
    "gzip without an end of its name": b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 9000,
    "zip that lies": lying_zip(SOME_ZIP),
    "zip without an end": SOME_ZIP[:-10],
    "zip that counts wrong": SOME_ZIP[:-14] + b"\xff\xff\xff\xff" + SOME_ZIP[-10:],
    "ar that lies": b"!<arch>\n" + b"a/".ljust(48) + b"9999999999`\n",
    "ar with junk": b"!<arch>\n" + b"x" * 60,
    "elf with a lie": SOME_ELF[:40] + b"\xff" * 8 + SOME_ELF[48:],
    "elf of many sections": SOME_ELF[:60] + b"\xff\xff\x02\0" + SOME_ELF[64:],
    "elf with a bad class": b"\x7fELF\x09" + SOME_ELF[5:],
    "cut elf": SOME_ELF[:30],
    "deep": nested(30, b"text\n"),
    "control characters": b"\x1b[2J\x07 text\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_give_a_bounded_answer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spools").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spools"))
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(HOSTILE[name])
    two.write_bytes(HOSTILE[name][:-1] + bytes([HOSTILE[name][-1] ^ 1]))
    start = time.monotonic()
    found = compare(one, two, "file", TINY).differences
    assert found
    assert time.monotonic() - start < 20
    assert all((each.place + each.one + each.two).isprintable() for each in found)
    assert all(len(each.one) <= MAX_EXCERPT for each in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "spools", "two"]
    assert list((tmp_path / "spools").iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_against_sound_ones(name: str, tmp_path: Path) -> None:
    sound = {"tar": SOME_TAR, "zip": SOME_ZIP, "elf": SOME_ELF}
    other = next((data for kind, data in sound.items() if name.startswith(kind)), b"text\n")
    assert differ(tmp_path, HOSTILE[name], other)


@given(kind=st.sampled_from(["tar", "zip", "ar", "elf", "gz", "xz"]), seed=st.integers(0, 2**32))
def test_any_bytes_end_without_an_error_of_ours(
    kind: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    makers = {
        "tar": SOME_TAR, "zip": SOME_ZIP, "ar": ar_bytes(("b", b"text")), "elf": SOME_ELF,
        "gz": gzip.compress(b"text", mtime=0), "xz": lzma.compress(b"text"),
    }  # fmt: skip
    chance = random.Random(seed)  # noqa: S311 - to choose bytes to break
    broken = bytearray(makers[kind])
    for _ in range(chance.randint(1, 6)):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    folder = tmp_path_factory.mktemp("any")
    found = differ(folder, makers[kind], bytes(broken))
    assert bool(found) == (bytes(broken) != makers[kind])


def test_many_differences_are_counted_not_kept(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("".join(f"{n} fox\n" for n in range(5000)))
    two.write_text("".join(f"{n} dog\n" for n in range(5000)))
    result = compare(one, two, "file")
    assert len(result.differences) == 20
    assert result.dropped > 1000


def test_large_texts_show_the_first_line_that_differs(tmp_path: Path) -> None:
    lines = b"x\n" * 600_000
    (found,) = differ(tmp_path, lines + b"red fox\nend", lines + b"red dog\nend")
    assert (found.place, found.one, found.two) == ("file > byte 1200004", "red fox", "red dog")


def test_large_data_shows_bytes(tmp_path: Path) -> None:
    data = b"word\0" * 600_000
    (found,) = differ(tmp_path, data + b"\1", data + b"\2")
    assert (found.kind, found.one) == ("bytes", "01")


def test_archives_of_many_changed_members_need_few_open_files(tmp_path: Path) -> None:
    one, two = (zip_bytes(*((f"{n}.txt", text * 9) for n in range(700))) for text in (b"a", b"b"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        assert len(differ(tmp_path, one, two)) == 700
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_output_that_fills_the_buffer_does_not_cut_a_member_short(tmp_path: Path) -> None:
    one, two = (zip_bytes(("a", bytes(OUT_BYTES) + last)) for last in (b"\1", b"\2"))
    (found,) = differ(tmp_path, one, two)
    assert (found.place, found.what) == (f"file > a > byte {OUT_BYTES}", "bytes")


def test_time_is_bounded(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(gzip.compress(b"fox", mtime=0))
    two.write_bytes(gzip.compress(b"dog", mtime=0))
    found = compare(one, two, "file", Bounds(seconds=0)).differences
    assert [each.what for each in found] == ["unopened", "bytes"]


@pytest.mark.parametrize(
    "of",
    [
        lambda text: tar_bytes(*((f"{n}{'long' * 200}", text) for n in range(20))),
        lambda text: zip_bytes(*((f"{n}{'long' * 200}", text) for n in range(20))),
        lambda text: ar_bytes(*(("#1/800", b"long" * 200 + text) for _ in range(20))).replace(
            b"#1/800/", b"#1/800 "
        ),
    ],
    ids=["tar", "zip", "ar"],
)
def test_names_fill_no_memory(tmp_path: Path, of: Callable[[bytes], bytes]) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(of(b"fox"))
    two.write_bytes(of(b"dog"))
    found = compare(one, two, "file", Bounds(header_bytes=1 << 13)).differences
    assert not any("long" in each.place for each in found)
    assert found
    assert any("long" in each.place for each in compare(one, two, "file").differences)


def test_a_line_of_many_words_in_another_order(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(5000)]
    (found,) = differ(tmp_path, " ".join(words).encode(), " ".join(reversed(words)).encode())
    assert (found.kind, found.what) == ("order", "order:tokens")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.symlink_to("/etc/hostname"), InputError),
        (os.mkfifo, InputError),
        (lambda path: path.mkdir(), InputError),
        (lambda path: path.exists(), NotEnoughError),
    ],
    ids=["link", "fifo", "folder", "nothing"],
)
def test_what_is_no_regular_file_is_refused(
    make: Callable[[Path], None], error: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "one").write_bytes(b"x")
    make(tmp_path / "two")
    with pytest.raises(error):
        compare_files(tmp_path / "one", tmp_path / "two", "x")


class Writing(Work):
    """A comparison during which somebody writes to the second file."""

    def __init__(self, change: Callable[[], object]) -> None:
        super().__init__(Bounds())
        self._change = change

    def check_time(self) -> None:
        self._change()
        super().check_time()


@pytest.mark.parametrize("size", [0, 1, 30_000, 50_000])
def test_a_file_that_changes_meanwhile_is_no_answer(size: int, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"x" * 40_000)
    two.write_bytes(b"x" * 39_999 + b"y")
    with pytest.raises(InputError, match="file changed while it was read") as caught:
        compare_into(one, two, "file", Writing(lambda: os.truncate(two, size)))
    assert caught.value.where == str(two)


def test_a_file_of_the_kernel_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match="file changed while it was read"):
        compare_files(tmp_path / "empty", Path("/proc/self/status"), "x")


def test_a_full_disk_is_not_blamed_on_the_files(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    one, two = tmp_path / "one", tmp_path / "two"
    for path, text in ((one, b"fox"), (two, b"dog")):
        path.write_bytes(gzip.compress(text * 50_000, mtime=0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(HostError, match="file too large") as caught:
            compare_files(one, two, "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.where == tempfile.gettempdir()
