"""What is normalised is gone, the rest is untouched, and stock tools read what we write."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relsign.build.archives.members import Limits
from relsign.build.normalise.apply import REWRITES, normalise_file, same_after
from relsign.formats.names import Normaliser
from tests.build.normalise.makers import (
    EPOCH,
    FILES,
    LONG,
    MAKERS,
    ONE,
    TWO,
    make,
    normalised,
    run,
)

PAGE = Path(__file__).parents[3] / "docs/reference/normalisers.md"


def test_the_page_lists_the_normalisers_there_are() -> None:
    assert set(re.findall(r"(?m)^## `([a-z]+-\d+)`", PAGE.read_text())) == set(REWRITES)


@pytest.mark.parametrize("name", MAKERS)
def test_what_differs_by_circumstances_only_becomes_the_same(name: str, tmp_path: Path) -> None:
    one, two = make(name, tmp_path, ONE), make(name, tmp_path, TWO)
    normaliser = MAKERS[name][0]
    assert one.read_bytes() != two.read_bytes()
    assert same_after(one, two, EPOCH) == (normaliser,)
    first = normalised(one, normaliser)
    assert normalised(two, normaliser) == first
    # Again, nothing changes; and two files that are the same need no normaliser.
    assert normalised(one, normaliser) == first
    assert same_after(one, two, EPOCH) == ()


@pytest.mark.parametrize("name", ["gnu tar", "pax tar", "gzip", "zip", "python zip", "jar"])
def test_other_contents_stay_other_contents(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(name, tmp_path, ONE)
    monkeypatch.setitem(FILES, "b.txt", b"another\n")
    assert same_after(one, make(name, tmp_path, TWO), EPOCH) is None


@pytest.mark.parametrize("name", ["static library", "BSD library", "Debian package"])
def test_other_members_stay_other_members(name: str, tmp_path: Path) -> None:
    one, two = make(name, tmp_path, ONE), make(name, tmp_path, TWO)
    data = two.read_bytes()
    two.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    assert same_after(one, two, EPOCH) is None


def contents(path: Path) -> dict[str, bytes]:
    """Return what stock Python reads: names and contents."""
    data = path.read_bytes()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}
    if data.startswith(b"\x1f\x8b"):
        return {"": gzip.decompress(data)}
    with tarfile.open(path) as tar:
        files = [(m.name, tar.extractfile(m)) for m in tar if m.isreg() or m.islnk()]
        return {name: file.read() for name, file in files if file is not None}


@pytest.mark.parametrize("name", [n for n, (kind, _) in MAKERS.items() if kind != "ar-1"])
def test_names_and_contents_stay(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path, TWO)
    before = {n.removeprefix("./"): data for n, data in contents(path).items()}
    normalised(path, MAKERS[name][0])
    assert contents(path) == before


# --- stock tools -------------------------------------------------------------------------------


def test_gnu_tar_reads_and_would_write_the_same(tmp_path: Path) -> None:
    path = make("gnu tar", tmp_path, TWO)
    data = normalised(path, "tar-1")
    listed = run("tar", "-tvf", path, "--numeric-owner", "--full-time", folder=tmp_path).decode()
    *lines, last = [line.split(maxsplit=5) for line in listed.splitlines()]
    assert last[-1] in {"ä", "\\303\\244"}  # it escapes where its locale has no such letter
    assert [" ".join(line[:2] + line[3:]) for line in lines] == [
        "drwxr-xr-x 0/0 2023-11-14 22:13:20 a/",
        "-rw-r--r-- 0/0 2023-11-14 22:13:20 a-b",
        "-rw-r--r-- 0/0 2023-11-14 22:13:20 a/x.txt",
        "-rw-r--r-- 0/0 2023-11-14 22:13:20 b.txt",
        "hrw-r--r-- 0/0 2023-11-14 22:13:20 hard link to b.txt",
        "-rwxr-xr-x 0/0 2023-11-14 22:13:20 run",
        "lrwxrwxrwx 0/0 2023-11-14 22:13:20 to -> a/x.txt",
    ]
    out = tmp_path / "out"
    out.mkdir()
    run("tar", "-xpf", path, folder=out)
    assert (out / "hard").stat().st_ino == (out / "b.txt").stat().st_ino
    assert {n: (out / n).read_bytes() for n in FILES} == FILES
    assert len(data) % 512 == 0


def test_unzip_and_python_find_no_fault(tmp_path: Path) -> None:
    for name in ("zip", "python zip", "jar", "wheel"):
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        path = make(name, folder, TWO)
        normalised(path, "zip-1")
        assert b"No errors detected" in run("unzip", "-t", path, folder=folder)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert {i.date_time for i in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
            assert {(i.create_system, i.extra, i.comment) for i in archive.infolist()} == {
                (3, b"", b"")
            }


def test_a_jar_runs_with_its_manifest_first(tmp_path: Path) -> None:
    path = make("jar", tmp_path, TWO)
    normalised(path, "zip-1")
    listed = run("jar", "--list", "--file", path, folder=tmp_path).decode().split()
    assert listed[:2] == ["META-INF/", "META-INF/MANIFEST.MF"]


@pytest.mark.slow
def test_a_signed_jar_stays_signed(tmp_path: Path) -> None:
    path = make("jar", tmp_path, ONE)
    secret = ("-keystore", "keys", "-storepass", "passphrase")
    run("keytool", "-genkeypair", *secret, "-alias", "ann", "-dname", "CN=ann", "-keyalg", "EC",
        folder=tmp_path)  # fmt: skip
    run("jarsigner", *secret, path, "ann", folder=tmp_path)
    normalised(path, "zip-1")
    assert b"jar verified." in run("jarsigner", "-verify", path, folder=tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = [name.rpartition("/")[2] for name in archive.namelist()[:4]]
    assert names == ["", "MANIFEST.MF", "ANN.EC", "ANN.SF"]


def test_a_wheel_keeps_its_record_and_its_metadata_last(tmp_path: Path) -> None:
    path = make("wheel", tmp_path, ONE)
    with zipfile.ZipFile(path) as archive:
        record = archive.read("tool-1.dist-info/RECORD")
    normalised(path, "zip-1")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "tool/__init__.py"
        assert archive.read("tool-1.dist-info/RECORD") == record


def test_a_linker_takes_a_normalised_library(tmp_path: Path) -> None:
    path = make("static library", tmp_path, TWO)
    library = tmp_path / "libtwo.a"
    library.write_bytes(normalised(path, "ar-1", epoch=0))
    (tmp_path / "main.c").write_text(f"int f_{len(LONG)}(void); int main(void) "
                                     f"{{ return f_{len(LONG)}() - 1; }}\n")  # fmt: skip
    run("gcc", "main.c", "-L.", "-ltwo", "-o", "main", folder=tmp_path)
    run("./main", folder=tmp_path)
    listed = run("ar", "tv", library, folder=tmp_path).decode().splitlines()
    assert [line.split()[:2] for line in listed] == [["rw-r--r--", "0/0"]] * 2
    # What `ar` in its own deterministic mode makes is what we make.
    made = tmp_path / "0-0"
    made.mkdir()
    for name in ("short.o", LONG):
        (made / name).write_bytes((tmp_path / f"{TWO.user}-{TWO.time}" / name).read_bytes())
        (made / name).chmod(0o644)
    run("ar", "rcsD", "lib.a", "short.o", LONG, folder=made)
    assert library.read_bytes() == (made / "lib.a").read_bytes()


def test_dpkg_reads_a_normalised_package(tmp_path: Path) -> None:
    path = make("Debian package", tmp_path, TWO)
    normalised(path, "ar-1")
    assert run("dpkg-deb", "--field", path, "Package", folder=tmp_path) == b"tool\n"
    assert b"./tool" in run("dpkg-deb", "--contents", path, folder=tmp_path)
    assert b"debian-binary" in run("ar", "t", path, folder=tmp_path)


def test_gzip_finds_no_fault(tmp_path: Path) -> None:
    path = make("gzip of two members", tmp_path, TWO)
    data = normalised(path, "gzip-1")
    path = path.rename(path.with_suffix(".gz"))
    run("gzip", "-t", path, folder=tmp_path)
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert gzip.decompress(data) == FILES["b.txt"] + b"second"


def test_an_extra_field_of_gzip_stays(tmp_path: Path) -> None:
    """As bgzip writes it: without the field no reader could jump to a block."""
    path = tmp_path / "blocks"
    field = b"\x06\0BC\x02\0\x1b\0"
    plain = gzip.compress(b"x", mtime=9)
    path.write_bytes(plain[:3] + b"\x04" + plain[4:10] + field + plain[10:])
    assert normalised(path, "gzip-1")[3:18] == b"\x04\0\0\0\0\0\xff" + field


# --- times -------------------------------------------------------------------------------------

DATES = {
    None: (1980, 1, 1, 0, 0, 0),
    0: (1980, 1, 1, 0, 0, 0),
    EPOCH + 1: (2023, 11, 14, 22, 13, 20),
    253402300799: (2107, 12, 31, 23, 59, 58),
}


@pytest.mark.parametrize("epoch", DATES)
def test_zip_writes_dates_within_what_dos_knows(epoch: int | None, tmp_path: Path) -> None:
    path = make("wheel", tmp_path, ONE)
    normalised(path, "zip-1", epoch=epoch)
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].date_time == DATES[epoch]


@pytest.mark.parametrize("epoch", [None, 0, EPOCH, 253402300799])
def test_tar_and_ar_write_every_epoch(epoch: int | None, tmp_path: Path) -> None:
    path = make("python tar", tmp_path, ONE)
    normalised(path, "tar-1", epoch=epoch)
    with tarfile.open(path) as archive:
        assert {int(member.mtime) for member in archive} == {epoch or 0}
    library = tmp_path / "lib.a"
    library.write_bytes(b"!<arch>\n" + b"%-16s%-12s%-6s%-6s%-8s%-10s`\n" % (
        b"a.o/", b"77", b"1", b"2", b"600", b"1") + b"x")  # fmt: skip
    said = normalised(library, "ar-1", epoch=epoch)
    assert said == b"!<arch>\n" + b"%-16s%-12d%-6s%-6s%-8s%-10s`\n" % (
        b"a.o/", epoch or 0, b"0", b"0", b"644", b"1") + b"x\n"  # fmt: skip


# --- on disk -----------------------------------------------------------------------------------


def test_a_file_is_rewritten_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = make("wheel", tmp_path, TWO)
    path.chmod(0o755)
    normalised(path, "zip-1")
    assert path.stat().st_mode & 0o7777 == 0o755
    assert not list(tmp_path.glob(".*.tmp"))


def test_several_normalisers_run_in_their_order(tmp_path: Path) -> None:
    path = make("wheel", tmp_path, TWO)
    once = normalised(path, "zip-1")
    assert normalised(path, "zip-1", "zip-1") == once


def test_no_normaliser_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(b"anything")
    before = path.stat()
    normalise_file(path, (), EPOCH)
    assert path.stat() == before


def test_files_of_two_kinds_are_never_the_same(tmp_path: Path) -> None:
    one, two = make("gzip", tmp_path, ONE), make("wheel", tmp_path, TWO)
    assert same_after(one, two, EPOCH) is None
    two.write_bytes(b"neither")
    assert same_after(one, two, EPOCH) is None


# --- properties --------------------------------------------------------------------------------

PART = st.text("abcXY._-ä", min_size=1, max_size=6).filter(lambda part: part.strip("."))
TREES = st.dictionaries(PART, st.tuples(st.binary(max_size=40), st.booleans()), min_size=1)
TIMES = st.integers(min_value=315532800, max_value=4_000_000_000)


def a_tar(tree: dict[str, tuple[bytes, bool]], names: list[str], time: int, spread: int) -> bytes:
    stream = io.BytesIO()
    form = tarfile.PAX_FORMAT if spread % 2 else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            data, executable = tree[name]
            info.size, info.mtime, info.uid = len(data), time, spread
            info.mode = 0o700 if executable else 0o600 | spread & 0o66
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def a_zip(tree: dict[str, tuple[bytes, bool]], names: list[str], time: int, spread: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b"%d" % spread
        for name in names:
            info = zipfile.ZipInfo(name, (1980 + time % 100, 1, 1, 0, 0, 0))
            data, executable = tree[name]
            info.external_attr = ((0o700 if executable else 0o600 | spread & 0o66) | 0o100000) << 16
            archive.writestr(info, data)
    return stream.getvalue()


def rewritten(name: Normaliser, data: bytes) -> bytes:
    sink = io.BytesIO()
    REWRITES[name](io.BytesIO(data), sink, EPOCH, Limits())
    return sink.getvalue()


@pytest.mark.parametrize(("name", "pack"), [("tar-1", a_tar), ("zip-1", a_zip)])
@given(tree=TREES, data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
def test_only_names_and_contents_decide(
    name: Normaliser, pack: object, tree: dict[str, tuple[bytes, bool]], data: st.DataObject
) -> None:
    assert callable(pack)
    made = []
    for _ in range(2):
        names = data.draw(st.permutations(sorted(tree)))
        made.append(pack(tree, names, data.draw(TIMES), data.draw(st.integers(0, 4000))))
    first, second = (rewritten(name, archive) for archive in made)
    assert first == second
    assert rewritten(name, first) == first
