"""Pairs of files that differ for one known reason each, made by the tools that do it.

A plant is a function that writes a file into a folder for side 0 or side 1.  Where
no tool on the machine makes the difference, the bytes are written as it would.
"""

from __future__ import annotations

import gzip
import io
import os
import py_compile
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from relsign.formats.names import Digest
from tests.formats.samples import make_fingerprint

Plant = Callable[[Path, int], Path]
EPOCHS = (1700000000, 1734560001)
PLAIN_ZIP_TIME = (2023, 11, 14, 22, 13, 20)


def run(*command: str | Path, cwd: Path, **environment: str) -> bytes:
    """Run a stock tool and return what it prints."""
    clean = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "HOME": str(cwd)}
    clean |= {key: os.environ[key] for key in ("RUSTUP_HOME", "CARGO_HOME") if key in os.environ}
    clean |= environment
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def lines(one: str, two: str, name: str = "notes.txt") -> Plant:
    """Plant one text or the other between lines that stay the same."""

    def plant(folder: Path, side: int) -> Path:
        path = folder / name
        path.write_text(f"first line\n{(one, two)[side]}\nlast line\n", "utf-8")
        return path

    return plant


def write(folder: Path, name: str, data: bytes, mtime: int = EPOCHS[0], mode: int = 0o644) -> Path:
    """Write a file with a stated time and mode."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, (mtime, mtime))
    return path


# --- compilers ---------------------------------------------------------------------------------

SOURCE = b"int answer(void) { return 42; }\nint main(void) { return answer(); }\n"
FLAGS = ("-O1", "-Wl,--build-id=sha1")


def compiled(source: bytes, *flags: str, name: str = "prog.c") -> Callable[[Path], Path]:
    """Return a function that compiles `source` in a folder."""

    def compile_it(folder: Path) -> Path:
        write(folder, name, source)
        run("gcc", *FLAGS, *flags, "-o", "prog", name, cwd=folder)
        return folder / "prog"

    return compile_it


def date_time_macros(folder: Path, side: int) -> Path:
    source = b'const char *made = __DATE__ " " __TIME__;\n' + SOURCE
    write(folder, "prog.c", source)
    run("gcc", *FLAGS, "-o", "prog", "prog.c", cwd=folder, SOURCE_DATE_EPOCH=str(EPOCHS[side]))
    return folder / "prog"


def binary_time(folder: Path, side: int) -> Path:
    return compiled(b"long made = %d;\n" % EPOCHS[side] + SOURCE)(folder)


def debug_path(folder: Path, side: int) -> Path:
    inside = folder / ("alpha", "alphabet")[side]
    inside.mkdir()
    return compiled(SOURCE, "-g")(inside)


def packed_debug_path(folder: Path, side: int) -> Path:
    inside = folder / ("alpha", "alphabet")[side]
    inside.mkdir()
    return compiled(SOURCE, "-g", "-gz=zlib", "-gdwarf-4")(inside)


def file_macro(folder: Path, side: int) -> Path:
    path = write(
        folder, ("alpha", "beta")[side] + "/prog.c", b"const char *f = __FILE__;\n" + SOURCE
    )
    run("gcc", *FLAGS, "-o", "prog", path, cwd=folder)
    return folder / "prog"


def march_native(folder: Path, side: int) -> Path:
    source = (
        b"""void f(float *a, const float *b, int n)
    { for (int i = 0; i < n; i++) a[i] = a[i] * b[i] + a[n - i]; }\n"""
        + SOURCE
    )
    return compiled(source, "-O3", ("-march=x86-64", "-march=haswell")[side])(folder)


def compiler_version(folder: Path, side: int) -> Path:
    path = compiled(SOURCE)(folder)
    text = write(folder, "comment", b"GCC: (Debian 12.2.0-14+deb12u%d) 12.2.0\0" % (side + 1))
    run("objcopy", "--update-section", f".comment={text}", path, cwd=folder)
    return path


def build_id(folder: Path, side: int) -> Path:
    path = compiled(SOURCE, f"-Wl,--build-id=0x{'ab' * 19}{side:02x}")(folder)
    run("strip", path, cwd=folder)
    return path


def stripped(folder: Path, side: int) -> Path:
    path = compiled(SOURCE, "-g")(folder)
    if side:
        run("strip", path, cwd=folder)
    return path


def link_order(folder: Path, side: int) -> Path:
    for name in ("one", "two"):
        write(
            folder,
            f"{name}.c",
            b'const char *%s(void) { return "it is %s"; }\n' % (2 * (name.encode(),)),
        )
    write(folder, "prog.c", SOURCE)
    names = ("one.c", "two.c") if side else ("two.c", "one.c")
    run("gcc", *FLAGS, "-o", "prog", "prog.c", *names, cwd=folder)
    return folder / "prog"


def lto_seed(folder: Path, side: int) -> Path:
    write(folder, "prog.c", SOURCE)
    seed = f"-frandom-seed={('first', 'second')[side]}"
    run("gcc", "-O1", "-flto", seed, "-c", "prog.c", cwd=folder)
    return folder / "prog.o"


def pgo_profile(folder: Path, side: int) -> Path:
    source = b"""#include <stdlib.h>
    #include <stdio.h>
    __attribute__((noinline)) int odd(int n) {
      if (n > 77) { for (int i = 0; i < n; i++) printf("never %d %d", i, n * i); exit(n / 3); }
      int s = 1; for (int i = 0; i < n; i++) s = s * 31 % 1009 + i; return s; }
    int main(int n, char **v) {
      (void)v; for (int i = 0; i < 99999; i++) n += odd(i & 7);
      return n == 5; }\n"""
    write(folder, "prog.c", source)
    run(
        "gcc",
        "-O2",
        "-fprofile-generate",
        "-fprofile-update=single",
        "-o",
        "prog",
        "prog.c",
        cwd=folder,
    )
    if side:
        run(folder / "prog", "x", cwd=folder)
    run("gcc", "-O2", "-fprofile-use", "-Wno-missing-profile", "-o", "prog", "prog.c", cwd=folder)
    return folder / "prog"


def code_generation(folder: Path, side: int) -> Path:
    source = b"int f(int n) { int s = 0; while (n--) s += n * n % 7; return s; }\n" + SOURCE
    return compiled(source, ("-O1", "-Os")[side])(folder)


# --- archives ----------------------------------------------------------------------------------


def gzip_time(folder: Path, side: int) -> Path:
    path = write(folder, "data.txt", b"the same\n" * 50, EPOCHS[side])
    run("gzip", path, cwd=folder)
    return folder / "data.txt.gz"


def gzip_name(folder: Path, side: int) -> Path:
    name = ("data.txt", "date.txt")[side]
    run("gzip", write(folder, name, b"the same\n" * 50), cwd=folder)
    return (folder / f"{name}.gz").rename(folder / "out.gz")


def gzip_system(folder: Path, side: int) -> Path:
    data = bytearray(gzip.compress(b"the same\n" * 50, mtime=0))
    data[9] = (3, 255)[side]
    return write(folder, "out.gz", bytes(data))


def compression_level(folder: Path, side: int) -> Path:
    path = write(folder, "data.txt", b"".join(b"%d same\n" % (n * n) for n in range(5000)))
    run("gzip", "-n", ("-1", "-9")[side], path, cwd=folder)
    return folder / "data.txt.gz"


def xz_level(folder: Path, side: int) -> Path:
    path = write(folder, "data.txt", b"".join(b"%d same\n" % (n * n) for n in range(5000)))
    run("xz", ("-1", "-6")[side], path, cwd=folder)
    return folder / "data.txt.xz"


def compressor_version(folder: Path, side: int) -> Path:
    content = b"".join(b"%d same\n" % (n * n) for n in range(5000))
    coder = zlib.compressobj(6, zlib.DEFLATED, -15, (8, 1)[side])
    body = coder.compress(content) + coder.flush()
    tail = struct.pack("<LL", zlib.crc32(content), len(content))
    return write(folder, "out.gz", gzip.compress(b"", mtime=0)[:10] + body + tail)


def tar_of(
    folder: Path, change: Callable[[tarfile.TarInfo], None], form: int = tarfile.USTAR_FORMAT
) -> Path:
    """Write a tar whose members are changed by a function."""
    path = folder / "out.tar"
    with tarfile.open(path, "w", format=form) as archive:
        for name in ("a.txt", "b.txt", "c/d.txt"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = 5, EPOCHS[0], 0o644
            info.uname = info.gname = "root"
            change(info)
            archive.addfile(info, io.BytesIO(b"same\n"))
    return path


def tar_time(folder: Path, side: int) -> Path:
    write(folder, "tree/a.txt", b"same", EPOCHS[side])
    write(folder, "tree/b.txt", b"same", EPOCHS[side] + 5)
    run(
        "tar",
        "--sort=name",
        "--format=ustar",
        "-cf",
        "out.tar",
        "tree/a.txt",
        "tree/b.txt",
        cwd=folder,
    )
    return folder / "out.tar"


def tar_tool(*words: tuple[str, str], mode: tuple[int, int] = (0o644, 0o644)) -> Plant:
    """Plant a tar made by GNU tar, with other words for each side."""

    def plant(folder: Path, side: int) -> Path:
        for name in ("a.txt", "b.txt"):
            write(folder, name, b"same\n", mode=mode[side])
        run("tar", "-cf", "out.tar", "--mtime=@0", "--owner=o:1", "--group=g:1", "--format=ustar",
            *(pair[side] for pair in words), "a.txt", "b.txt", cwd=folder)  # fmt: skip
        return folder / "out.tar"

    return plant


def member_order(folder: Path, side: int) -> Path:
    names = ["b.txt", "a.txt", "d.txt", "c.txt"]
    for name in names:
        write(folder, name, name.encode())
    order = sorted(names) if side else names
    run("tar", "-cf", "out.tar", "--mtime=@0", *order, cwd=folder)
    return folder / "out.tar"


def zip_time(folder: Path, side: int) -> Path:
    for name in ("a.txt", "b.txt"):
        write(folder, name, b"same\n", EPOCHS[side])
    run("zip", "-q", "out.zip", "a.txt", "b.txt", cwd=folder)
    return folder / "out.zip"


def zip_zone(folder: Path, side: int) -> Path:
    write(folder, "a.txt", b"same\n")
    run("zip", "-qX", "out.zip", "a.txt", cwd=folder, TZ=("UTC", "Europe/Vienna")[side])
    return folder / "out.zip"


def zip_attributes(folder: Path, side: int) -> Path:
    write(folder, "a.txt", b"same\n", mode=(0o644, 0o600)[side])
    run("zip", "-qX", "out.zip", "a.txt", cwd=folder)
    return folder / "out.zip"


def zip_extra(folder: Path, side: int) -> Path:
    path = write(folder, "a.txt", b"same\n")
    os.utime(path, (EPOCHS[side], EPOCHS[0]))
    run("zip", "-q", "out.zip", "a.txt", cwd=folder)
    return folder / "out.zip"


def _objects(folder: Path, mtime: int) -> None:
    for name in ("one", "two"):
        write(folder, f"{name}.c", f"int {name}(void) {{ return 1; }}\n".encode())
        run("gcc", "-c", f"{name}.c", cwd=folder)
        (folder / f"{name}.o").chmod(0o644)
        os.utime(folder / f"{name}.o", (mtime, mtime))


def ar_time(folder: Path, side: int) -> Path:
    _objects(folder, EPOCHS[side])
    run("ar", "crU", "libx.a", "one.o", "two.o", cwd=folder)
    return folder / "libx.a"


def deb_time(folder: Path, side: int) -> Path:
    control = b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: m <m@x>\nDescription: x\n"
    write(folder, "tree/DEBIAN/control", control)
    for path in (folder / "tree/DEBIAN", folder / "tree"):
        os.utime(path, (EPOCHS[0], EPOCHS[0]))
    run("dpkg-deb", "-b", "--root-owner-group", "tree", "x.deb", cwd=folder,
        SOURCE_DATE_EPOCH=str(EPOCHS[side]))  # fmt: skip
    return folder / "x.deb"


def ar_mode(folder: Path, side: int) -> Path:
    _objects(folder, EPOCHS[0])
    (folder / "one.o").chmod((0o644, 0o664)[side])
    run("ar", "crUS", "libx.a", "one.o", "two.o", cwd=folder)
    return folder / "libx.a"


def library_order(folder: Path, side: int) -> Path:
    _objects(folder, EPOCHS[0])
    names = ("one.o", "two.o") if side else ("two.o", "one.o")
    run("ar", "crD", "libx.a", *names, cwd=folder)
    return folder / "libx.a"


def pyc_time(folder: Path, side: int) -> Path:
    source = write(folder, "m.py", b"X = 1\n", EPOCHS[side])
    target = folder / "m.pyc"
    mode = py_compile.PycInvalidationMode.TIMESTAMP
    py_compile.compile(str(source), str(target), dfile="m.py", invalidation_mode=mode)
    return target


def python_version(folder: Path, side: int) -> Path:
    path = pyc_time(folder, 0)
    path.write_bytes(bytes([path.read_bytes()[0] + side]) + path.read_bytes()[1:])
    return path


def pyc_references(folder: Path, side: int) -> Path:
    path = pyc_time(folder, 0)
    data = bytearray(path.read_bytes())
    data[16] ^= 0x80 * side
    path.write_bytes(data)
    return path


def jar_manifest(folder: Path, side: int) -> Path:
    path = folder / "out.jar"
    text = f"Manifest-Version: 1.0\r\nCreated-By: 17.0.{9 + side} (Debian)\r\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", PLAIN_ZIP_TIME), text)
    return path


def manifest_order(folder: Path, side: int) -> Path:
    rows = ["Main-Class: A\r\n", "Multi-Release: true\r\n", "Sealed: true\r\n"]
    text = "Manifest-Version: 1.0\r\n" + "".join(reversed(rows) if side else rows)
    path = folder / "out.jar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", PLAIN_ZIP_TIME), text)
    return path


def missing_file(folder: Path, side: int) -> Path:
    names = ("a.txt", "b.txt", "extra.txt")[: 2 + side]
    for name in names:
        write(folder, name, b"same\n")
    run("tar", "-cf", "out.tar", "--mtime=@0", *names, cwd=folder)
    return folder / "out.tar"


def profile_member(folder: Path, side: int) -> Path:
    for name, data in (("a.txt", b"same"), ("b.gcda", b"adcg\0\1\2\3")):
        write(folder, name, data)
    run("tar", "-cf", "out.tar", "--mtime=@0", *("a.txt", "b.gcda")[: 1 + side], cwd=folder)
    return folder / "out.tar"


# --- words -------------------------------------------------------------------------------------


def from_python(code: str, name: str = "out.txt", **sides: tuple[str, str]) -> Plant:
    """Plant what a Python program prints in two environments."""

    def plant(folder: Path, side: int) -> Path:
        environment = {key: pair[side] for key, pair in sides.items()}
        text = run(sys.executable, "-s", "-c", code, cwd=folder, **environment)
        return write(folder, name, text)

    return plant


def locale_sorted(folder: Path, side: int) -> Path:
    names = ["Makefile", "README", "build.c", "alpha.c", "_init.c", "Zoo.c"]
    key = (lambda name: name, lambda name: name.lower().strip("_"))[side]
    return write(folder, "list", "\n".join(sorted(names, key=key)).encode() + b"\n")


def binary_with(section: str, *texts: tuple[bytes, bytes]) -> Plant:
    """Plant an ELF file with a section that holds what another language's linker writes."""

    def plant(folder: Path, side: int) -> Path:
        path = compiled(SOURCE, "-Wl,--build-id=none")(folder)
        data = write(folder, "data", b"\0".join(text[side] for text in texts) + bytes(8))
        run("objcopy", "--add-section", f"{section}={data}", path, cwd=folder)
        return path

    return plant


def go_build_id(folder: Path, side: int) -> Path:
    path = compiled(SOURCE, "-Wl,--build-id=none")(folder)
    note = write(
        folder, "note", struct.pack("<3L4s16s", 4, 16, 4, b"Go\0\0", bytes([65 + side] * 16))
    )
    run("objcopy", "--add-section", f".note.go.buildid={note}", path, cwd=folder)
    return path


def other_inputs(folder: Path, side: int) -> Path:
    fingerprint = make_fingerprint()
    if side:
        fingerprint = msgspec.structs.replace(fingerprint, recipe_sha256=Digest("ab" * 32))
    return write(folder, "x.fingerprint.json", fingerprint.to_bytes())


def line_ends(folder: Path, side: int) -> Path:
    return write(folder, "notes.txt", (b"a\nb\n", b"a\r\nb\r\n")[side])
