"""Archives as different tools make them, and pairs that differ only in what is normalised."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relsign.build.normalise.apply import normalise_file
from relsign.formats.names import Normaliser

EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Circumstances:
    """What a build must not show: when, in which order, with which umask and as whom."""

    time: int
    umask: int
    backwards: bool
    user: int


ONE = Circumstances(1_600_000_000, 0o022, backwards=False, user=0)
TWO = Circumstances(1_666_666_667, 0o077, backwards=True, user=1234)
FILES = {"b.txt": b"bee\n" * 40, "a/x.txt": b"eks", "a-b": b"", "run": b"#!/bin/sh\n", "ä": b"a"}


def fill(folder: Path, how: Circumstances) -> Path:
    """Write a small tree under these circumstances."""
    for name, data in sorted(FILES.items(), reverse=how.backwards):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod((0o777 if name == "run" else 0o666) & ~how.umask)
        os.utime(path, (how.time, how.time))
    (folder / "a").chmod(0o777 & ~how.umask)
    (folder / "to").symlink_to("a/x.txt")
    os.utime(folder / "a", (how.time, how.time))
    return folder


def names_in(how: Circumstances) -> list[str]:
    return sorted(["a", "to", *FILES], reverse=how.backwards)


def run(*words: str | Path, folder: Path, **extra: str) -> bytes:
    """Run a stock tool; fail the test with what it said."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", **extra}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def normalised(path: Path, *names: Normaliser, epoch: int | None = EPOCH) -> bytes:
    normalise_file(path, names, epoch)
    return path.read_bytes()


# --- tar ---------------------------------------------------------------------------------------


def gnu_tar(folder: Path, how: Circumstances) -> bytes:
    fill(folder, how)
    os.link(folder / "b.txt", folder / "hard")
    names = names_in(how)
    names.insert(0 if how.backwards else len(names), "hard")
    owner = ("--owner", f"u{how.user}:{how.user}", "--group", f"g{how.user}:{how.user}")
    return run("tar", "-cf", "-", "--no-recursion", *owner, *names, folder=folder)


def pax_tar(folder: Path, how: Circumstances) -> bytes:
    fill(folder, how)
    prefix = "./" if how.backwards else ""
    names = [prefix + name for name in names_in(how)]
    if how.backwards:
        names.insert(0, "./")
    form = "--format=pax" if how.backwards else "--format=gnu"
    return run("tar", "-cf", "-", "--no-recursion", form, *names, folder=folder)


def python_tar(folder: Path, how: Circumstances) -> bytes:
    del folder
    stream = io.BytesIO()
    headers = {"comment": f"made {how.time}"}
    with tarfile.open(
        fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as t:
        for name in sorted(FILES, reverse=how.backwards):
            info = tarfile.TarInfo(f"{'long/' * 30}{name}")
            info.size, info.uid, info.mtime = len(FILES[name]), how.user, how.time + 0.5
            info.mode = 0o666 & ~how.umask
            info.pax_headers = {"atime": f"{how.time}.25", "SCHILY.xattr.user.x": str(how.user)}
            t.addfile(info, io.BytesIO(FILES[name]))
    return stream.getvalue()


# --- gzip --------------------------------------------------------------------------------------


def gzip_program(folder: Path, how: Circumstances) -> bytes:
    """Compress under another name and time; a header checksum cannot be asked for."""
    name = folder / f"data-{how.user}"
    name.write_bytes(FILES["b.txt"])
    os.utime(name, (how.time, how.time))
    return run("gzip", "-c", "--name", name.name, folder=folder)


def gzip_twice(folder: Path, how: Circumstances) -> bytes:
    """Return two members, one with every optional field but the extra one."""
    rich = bytearray(gzip.compress(b"second", mtime=how.time))
    rich[3] |= 0x01 | 0x02 | 0x08 | 0x10
    rich[10:10] = b"name-%d\0comment %d\0" % (how.user, how.time) + b"\x12\x34"
    return gzip_program(folder, how) + bytes(rich)


# --- zip ---------------------------------------------------------------------------------------


def info_zip(folder: Path, how: Circumstances) -> bytes:
    fill(folder, how)
    (folder / "ä").unlink()  # a name it writes in an encoding it does not state
    names = [name for name in names_in(how) if name != "ä"]
    run("zip", "-q", "-y", "out.zip", *names, folder=folder)
    return (folder / "out.zip").read_bytes()


def python_zip(folder: Path, how: Circumstances) -> bytes:
    """Zip into a stream, so that sizes stand behind the data, or into a file."""
    del folder
    stream = _Pipe() if how.backwards else io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.comment = b"made %d" % how.time if how.backwards else b""
        for name in sorted(FILES, reverse=how.backwards):
            info = zipfile.ZipInfo(name, (2020 + how.backwards, 3, 4, 5, 6, 7))
            info.external_attr = (0o100666 & ~how.umask) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            info.comment = b"" if how.backwards else b"a comment"
            with archive.open(info, "w") as member:
                member.write(FILES[name])
    return stream.getvalue()


class _Pipe(io.BytesIO):
    """A file that can only be written on, as a socket."""

    def tell(self) -> int:
        raise io.UnsupportedOperation


def java_jar(folder: Path, how: Circumstances) -> bytes:
    fill(folder, how)
    (folder / "manifest").write_text("X-Y: z\n")
    names = [name for name in names_in(how) if name != "to"]
    date = "2021-01-02T03:04:06Z" if how.backwards else "2022-11-12T13:14:16Z"
    run("jar", "--create", "--file", "out.jar", "--manifest", "manifest", "--date", date, *names,
        folder=folder)  # fmt: skip
    return (folder / "out.jar").read_bytes()


def wheel(folder: Path, how: Circumstances) -> bytes:
    del folder
    files = {
        "tool/__init__.py": b"",
        "tool-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tool\nVersion: 1\n",
        "tool-1.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tool-1.dist-info/RECORD": b"tool/__init__.py,,\ntool-1.dist-info/RECORD,,\n",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, reverse=how.backwards):
            info = zipfile.ZipInfo(name, (2000 + how.backwards, 1, 1, 0, 0, 0))
            info.external_attr = (0o100666 & ~how.umask) << 16
            archive.writestr(info, files[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()


# --- ar ----------------------------------------------------------------------------------------

LONG = "a-member-with-a-long-name.o"


def static_library(folder: Path, how: Circumstances) -> bytes:
    """Archive two objects with their symbol table; `ar` adds in the order it is told."""
    for name in ("short.o", LONG):
        source = folder / "source.c"
        source.write_text(f"int f_{len(name)}(void) {{ return 1; }}\n")
        run("gcc", "-c", "-o", name, source.name, folder=folder)
        (folder / name).chmod(0o666 & ~how.umask)
        os.utime(folder / name, (how.time, how.time))
    run("ar", "rcsU", "lib.a", "short.o", LONG, folder=folder)
    return (folder / "lib.a").read_bytes()


def bsd_library(folder: Path, how: Circumstances) -> bytes:
    for name in ("a b.o", LONG):
        (folder / name).write_bytes(b"odd")
        (folder / name).chmod(0o666 & ~how.umask)
        os.utime(folder / name, (how.time, how.time))
    run("llvm-ar", "rcSU", "--format=bsd", "lib.a", "a b.o", LONG, folder=folder)
    return (folder / "lib.a").read_bytes()


def debian_package(folder: Path, how: Circumstances) -> bytes:
    """Build a package whose members agree, and whose outer headers state the time."""
    root = folder / "root"
    (root / "DEBIAN").mkdir(parents=True)
    control = root / "DEBIAN" / "control"
    control.write_text("Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\n"
                       "Description: x\n")  # fmt: skip
    (root / "tool").write_bytes(b"tool")
    for path in (control, root / "tool", root / "DEBIAN", root):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (1, 1))
    run("dpkg-deb", "--root-owner-group", "-b", "root", "out.deb", folder=folder,
        SOURCE_DATE_EPOCH=str(EPOCH))  # fmt: skip
    data = (folder / "out.deb").read_bytes()
    return data.replace(b"%-12d0     0     100644" % EPOCH, b"%-12d%-6d0     100644" % (
        how.time, how.user))  # fmt: skip


Make = Callable[[Path, Circumstances], bytes]
MAKERS: dict[str, tuple[Normaliser, Make]] = {
    "gnu tar": ("tar-1", gnu_tar),
    "pax tar": ("tar-1", pax_tar),
    "python tar": ("tar-1", python_tar),
    "gzip": ("gzip-1", gzip_program),
    "gzip of two members": ("gzip-1", gzip_twice),
    "zip": ("zip-1", info_zip),
    "python zip": ("zip-1", python_zip),
    "jar": ("zip-1", java_jar),
    "wheel": ("zip-1", wheel),
    "static library": ("ar-1", static_library),
    "BSD library": ("ar-1", bsd_library),
    "Debian package": ("ar-1", debian_package),
}


def make(name: str, folder: Path, how: Circumstances) -> Path:
    """Return an archive as its tool makes it under these circumstances."""
    work = folder / f"{how.user}-{how.time}"
    work.mkdir()
    data = MAKERS[name][1](work, how)
    path = folder / f"made-{how.user}-{how.time}"
    path.write_bytes(data)
    return path
