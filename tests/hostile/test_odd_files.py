"""Files that are none, or change while they are read: refused without hanging, nothing written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.downloads import BUNDLE, lasting, lines_of, put, verify
from tests.projects import PROGRAM
from tests.verify.releases import NAME

ROLES = {"artifact": NAME, "bundle": BUNDLE, "root": "root.json"}
GIB = 1 << 30
BAD_INPUT, NOT_ENOUGH, HOST = 2, 3, 5
Snapshot = dict[str, tuple[int, int, int, bytes]]


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Return the folder of a good download."""
    return put(tmp_path / "download", lasting())


def snapshot(folder: Path) -> Snapshot:
    """Return every name below a folder with mode, size, time of change and small contents."""
    found: Snapshot = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        small = path.is_file() and not path.is_symlink() and about.st_size < GIB
        data = path.read_bytes() if small else b""
        found[str(path)] = (about.st_mode, about.st_size, about.st_mtime_ns, data)
    return found


def make_odd(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put something that is no regular file at `path`; what was there goes aside."""
    aside = path.with_name(f"{path.name}.real")
    path.rename(aside)
    match kind:
        case "link":
            path.symlink_to(aside.name)
        case "link that leads nowhere":
            path.symlink_to("absent")
        case "link to itself":
            path.symlink_to(path.name)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            # Its address must be short, so it is bound from inside the folder.
            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(path.name)


ODD = ("link", "link that leads nowhere", "link to itself", "fifo", "folder", "socket")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_regular_file(
    download: Path, monkeypatch: pytest.MonkeyPatch, kind: str, role: str
) -> None:
    make_odd(kind, download / ROLES[role], monkeypatch)
    before = snapshot(download)
    done = verify(download, "--bundle", BUNDLE)
    assert done.returncode == BAD_INPUT, done
    lines_of(done)
    assert snapshot(download) == before


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/dev/urandom", "/proc"])
def test_devices(download: Path, path: str) -> None:
    for words, file in (((), path), (("--bundle", path), NAME), (("--root", path), NAME)):
        done = verify(download, "--bundle", BUNDLE, *words, file=file)
        # A folder in the place of the file stands for the files in it, of which there are none.
        assert done.returncode == (NOT_ENOUGH if file == "/proc" else BAD_INPUT), done
        lines_of(done)


def test_a_folder_on_the_way_may_be_a_link(download: Path) -> None:
    """Only the last part of a path is looked at: the way there is the caller's own."""
    (download.parent / "way").symlink_to(download.name)
    done = verify(download, "--root", "../way/root.json", file=f"../way/{NAME}")
    assert done.returncode == 0, done


@pytest.mark.parametrize("role", ROLES)
def test_a_file_that_may_not_be_read(download: Path, role: str) -> None:
    (download / ROLES[role]).chmod(0)
    powers = "--bounding-set=-dac_override,-dac_read_search"
    first = ("setpriv", powers) if os.geteuid() == 0 else ()
    command = (*first, PROGRAM, "verify", "--root", "root.json", "--bundle", BUNDLE, NAME)
    done = subprocess.run(command, cwd=download, capture_output=True, check=False, timeout=60)
    assert done.returncode in {BAD_INPUT, HOST}, done
    assert b"permission denied" in done.stderr or b"not readable" in done.stderr
    lines_of(done)


@pytest.mark.parametrize(
    ("role", "size"), [("artifact", GIB), ("bundle", 5 * GIB), ("root", 5 * GIB)]
)
def test_a_file_larger_than_memory(download: Path, role: str, size: int) -> None:
    before = (download / ROLES[role]).stat().st_size
    os.truncate(download / ROLES[role], size)
    done = verify(download, seconds=60, mebibytes=512)
    assert done.returncode == (1 if role == "artifact" else BAD_INPUT), done
    lines_of(done)
    assert (download / ROLES[role]).stat().st_size == size
    os.truncate(download / ROLES[role], before)
    assert verify(download).returncode == 0


CHANGES = {
    "vanishes": "path.unlink()",
    "shrinks": "os.truncate(path, 10)",
    "grows": "os.truncate(path, path.stat().st_size + (1 << 20))",
    "is replaced": "path.rename(path.with_suffix('.old')); path.write_bytes(b'other')",
    "becomes a fifo": "path.unlink(); os.mkfifo(path)",
}


@pytest.fixture
def changing(download: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a download whose artifact is large, and changed again and again meanwhile."""
    os.truncate(download / NAME, GIB // 2)
    change = (
        "import os, sys, time, pathlib\n"
        f"path = pathlib.Path({NAME!r})\n"
        "end = time.monotonic() + 60\n"
        "print('ready', flush=True)\n"
        "while time.monotonic() < end:\n"
        "    time.sleep(0.01)\n"
        "    try:\n"
        f"        {CHANGES[request.param]}\n"
        "    except OSError:\n"
        "        pass\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", change], cwd=download, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        yield download
        worker.kill()


@pytest.mark.parametrize("changing", CHANGES, indirect=True)
def test_a_file_that_changes_while_it_is_read(changing: Path) -> None:
    for _ in range(3):
        done = verify(changing, seconds=30)
        assert done.returncode in {1, BAD_INPUT, NOT_ENOUGH}, done
        lines_of(done)


def test_nothing_is_written_anywhere(download: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = download.parent / "home"
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))
        (home / name.lower()).mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(home))
    before = snapshot(download.parent)
    for words in ((), ("-v",), ("--json",)):
        assert verify(download, *words).returncode == 0
    (download / BUNDLE).write_bytes(b"{}")
    changed = snapshot(download.parent)
    assert verify(download).returncode == 1
    assert snapshot(download.parent) == changed
    assert {n: a for n, a in before.items() if changed[n] != a}.keys() == {str(download / BUNDLE)}


AUDIT = """
import os, sys

def hook(event, arguments):
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
    if event == "open" and (arguments[2] or 0) & writing:
        told.append(f"{event} {arguments[0]!r}")
    elif event.startswith(watched):
        told.append(f"{event} {arguments!r}")

watched = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system",
           "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "os.link", "os.symlink",
           "os.truncate", "os.utime", "shutil.", "tempfile.", "urllib.", "ctypes.dlopen")
told = []
sys.addaudithook(hook)
from relsign.cli.main import execute
code = execute(sys.argv[1:])
sys.stderr.write("\\n".join(told))
sys.exit(code)
"""


def _watched(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", AUDIT, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_verify_connects_starts_and_writes_nothing(download: Path) -> None:
    done = _watched(download, "verify", "--root", "root.json", NAME)
    assert (done.returncode, done.stderr) == (0, ""), done


def test_the_watch_sees_a_command_that_writes(download: Path) -> None:
    done = _watched(download, "init", "demo", "1.0", "--project", "new")
    assert "os.mkdir" in done.stderr or "open " in done.stderr, done


def test_verify_works_where_there_is_no_network(download: Path) -> None:
    first = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--net")
    command = (*first, PROGRAM, "verify", "--root", "root.json", NAME)
    started = time.monotonic()
    done = subprocess.run(command, cwd=download, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done
    assert time.monotonic() - started < 30  # no name is asked for in vain
