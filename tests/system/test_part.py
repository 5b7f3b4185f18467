"""A part is one process's alone, whatever others do with its name meanwhile."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.system.part import Part, open_part

OURS = b"bytes that were hashed"
THEIRS = b"bytes that nobody knows"


class Swap(Protocol):
    """Gives the part's name to another file."""

    def __call__(self, path: Path) -> None: ...


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def fill(part: Part, data: bytes = OURS) -> None:
    part.restart()
    part.append(data)
    part.finish()


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def is_locked(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# --- opening -------------------------------------------------------------------------------------


def test_a_new_part_is_its_owners_alone_and_locked(path: Path) -> None:
    with open_part(path) as part:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert is_locked(path)
        fill(part)
    assert not is_locked(path)
    assert path.read_bytes() == OURS


def test_what_came_stays_and_goes_on(path: Path) -> None:
    path.write_bytes(OURS[:5])
    with open_part(path) as part:
        part.take_over(100)
        assert (part.size, part.sha256) == (5, hashlib.sha256(OURS[:5]).hexdigest())
        part.append(OURS[5:])
    assert path.read_bytes() == OURS


def test_more_than_is_allowed_is_thrown_away(path: Path) -> None:
    path.write_bytes(OURS)
    with open_part(path) as part:
        part.take_over(len(OURS) - 1)
        assert part.size == 0
    assert names(path) == []


def test_a_part_without_a_byte_goes(path: Path) -> None:
    with open_part(path):
        assert names(path) == ["file.part"]
    assert names(path) == []


def test_a_second_one_is_told_and_takes_nothing(path: Path) -> None:
    with open_part(path) as part:
        fill(part)
        with pytest.raises(HostError, match="another process") as caught, open_part(path):
            pass
        assert "wait" in caught.value.hint
    assert path.read_bytes() == OURS


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_part_that_others_may_write_is_made_anew(path: Path, final: Path, mode: int) -> None:
    path.write_bytes(THEIRS)
    path.chmod(mode)
    with path.open("r+b") as planted, open_part(path) as part:
        part.take_over(100)
        assert part.size == 0
        fill(part)
        part.put(final)
        planted.write(b"EVIL")
    assert final.read_bytes() == OURS
    assert stat.S_IMODE(final.stat().st_mode) & 0o022 == 0


def test_a_part_of_another_user_is_made_anew(
    path: Path, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(OURS)
    planted = path.stat().st_ino
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with path.open("rb"), open_part(path) as part:
        assert path.stat().st_ino != planted
        fill(part)
        part.put(final)
    assert final.read_bytes() == OURS


def test_another_name_of_a_file_is_not_written(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(THEIRS)
    path.hardlink_to(precious)
    with open_part(path) as part:
        fill(part)
    assert precious.read_bytes() == THEIRS
    assert path.read_bytes() == OURS


def plant_link(path: Path) -> None:
    path.symlink_to(path.with_name("precious"))


def plant_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))


@pytest.mark.parametrize("plant", [plant_link, plant_socket, os.mkfifo])
def test_what_is_no_plain_file_goes(path: Path, tmp_path: Path, plant: Swap) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(THEIRS)
    plant(path)
    with open_part(path) as part:
        fill(part)
    assert precious.read_bytes() == THEIRS
    assert path.is_file()
    assert not path.is_symlink()
    assert path.read_bytes() == OURS


def test_a_folder_of_that_name_stays(path: Path) -> None:
    (path / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match="a folder has the name") as caught, open_part(path):
        pass
    assert caught.value.where == str(path)
    assert "move it away" in caught.value.hint
    assert (path / "inside").is_dir()


def test_no_folder_and_a_file_in_its_place_are_host_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for part in (tmp_path / "absent" / "part", tmp_path / "file" / "part"):
        with pytest.raises(HostError), open_part(part):
            pass


def refuse(error: int) -> Callable[..., None]:
    """Return a system call that always fails."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(error, os.strerror(error))

    return fail


def test_a_planted_part_that_cannot_be_removed_is_a_host_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(THEIRS)
    path.chmod(0o666)
    monkeypatch.setattr(Path, "unlink", refuse(errno.EPERM))
    with pytest.raises(HostError, match="not permitted"), open_part(path):
        pass
    assert path.read_bytes() == THEIRS


def test_a_part_that_may_not_be_opened_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(THEIRS)
    system = os.open

    def denied(name: Path, flags: int, mode: int = 0) -> int:
        # What everybody but the superuser is told of another user's file.
        if not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return system(name, flags, mode)

    monkeypatch.setattr(os, "open", denied)
    with open_part(path) as part:
        fill(part)
    assert path.read_bytes() == OURS


def test_a_folder_without_permission_is_a_host_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", refuse(errno.EACCES))
    with pytest.raises(HostError, match="permission denied"), open_part(path):
        pass


def test_a_file_system_without_locks_is_a_host_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    with pytest.raises(HostError, match="lock"), open_part(path):
        pass


def on_lock(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> None:
    """Let something happen between opening and locking, with the number of the try."""
    system = fcntl.flock
    tries: list[int] = []

    def lock(descriptor: int, operation: int) -> None:
        act(len(tries))
        tries.append(descriptor)
        system(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)


def test_a_part_that_got_its_name_before_the_lock_is_not_written(
    path: Path, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(THEIRS)

    def other_call_ends(number: int) -> None:
        if number == 0:
            path.rename(final)

    on_lock(monkeypatch, other_call_ends)
    with open_part(path) as part:
        fill(part)
    assert final.read_bytes() == THEIRS
    assert path.read_bytes() == OURS


def test_a_name_that_never_keeps_still_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_lock(monkeypatch, lambda number: path.rename(path.with_name(f"away{number}")))
    with pytest.raises(HostError, match="keep replacing"), open_part(path):
        pass


def test_a_part_that_vanishes_before_it_is_opened_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(THEIRS)
    system = os.open

    def quicker(name: Path, flags: int, mode: int = 0) -> int:
        path.unlink(missing_ok=True)
        return system(name, flags, mode)

    monkeypatch.setattr(os, "open", quicker)
    with open_part(path) as part:
        fill(part)
    assert path.read_bytes() == OURS


# --- filling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_copy_is_hashed_and_keeps_whether_it_runs(path: Path, final: Path, mode: int) -> None:
    source = path.with_name("source")
    source.write_bytes(OURS)
    source.chmod(mode)
    path.write_bytes(b"of an earlier call, and longer than what comes now")
    with open_part(path) as part:
        part.copy_from(source)
        assert (part.sha256, part.size) == (hashlib.sha256(OURS).hexdigest(), len(OURS))
        part.put(final)
    assert final.read_bytes() == OURS
    assert bool(final.stat().st_mode & stat.S_IXUSR) is (mode == 0o755)


def test_a_source_that_is_not_there_leaves_nothing(path: Path) -> None:
    with pytest.raises(NotEnoughError), open_part(path) as part:
        part.copy_from(path.with_name("absent"))
    assert names(path) == []


def test_a_full_disk_is_a_host_error(path: Path) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(HostError, match="left"):
        Part(path, full).append(OURS)


# --- naming --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_the_umask_decides_who_may_read(
    path: Path, final: Path, umask: Callable[[int], int], mask: int, mode: int
) -> None:
    umask(mask)
    with open_part(path) as part:
        fill(part)
        part.put(final)
    assert stat.S_IMODE(final.stat().st_mode) == mode
    assert umask(mask) == mask
    assert names(path) == ["file"]


def test_the_lock_lasts_until_the_file_has_its_name(path: Path, final: Path) -> None:
    with open_part(path) as part:
        fill(part)
        with pytest.raises(HostError, match="another process"), open_part(path):
            pass
        part.put(final)
        with open_part(path) as next_one:
            fill(next_one, THEIRS)
    assert (final.read_bytes(), path.read_bytes()) == (OURS, THEIRS)


@pytest.mark.parametrize("names_per_file", ["many", "one"])
def test_a_file_that_has_the_name_stays(
    path: Path, final: Path, monkeypatch: pytest.MonkeyPatch, names_per_file: str
) -> None:
    final.write_bytes(THEIRS)
    if names_per_file == "one":
        monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    with open_part(path) as part:
        fill(part)
        with pytest.raises(InputError, match="meanwhile"):
            part.put(final)
    assert (final.read_bytes(), path.read_bytes()) == (THEIRS, OURS)


def test_without_second_names_it_is_renamed(
    path: Path, final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    with open_part(path) as part:
        fill(part)
        part.put(final)
    assert final.read_bytes() == OURS
    assert names(path) == ["file"]


def test_a_name_that_cannot_be_given_is_a_host_error(path: Path, final: Path) -> None:
    with open_part(path) as part:
        fill(part)
        with pytest.raises(HostError):
            part.put(final.with_name("absent") / "file")
    assert path.read_bytes() == OURS


def put_another(path: Path) -> None:
    path.unlink()
    path.write_bytes(THEIRS)


def rename_another(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(OURS)
    other.replace(path)


def put_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def write_more(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(THEIRS)


@pytest.mark.parametrize("swap", [Path.unlink, put_another, rename_another, put_link, write_more])
@pytest.mark.parametrize("names_per_file", ["many", "one"])
@pytest.mark.parametrize("moment", ["before", "while"])
def test_another_file_under_the_parts_name_never_gets_the_name(
    path: Path,
    final: Path,
    monkeypatch: pytest.MonkeyPatch,
    swap: Swap,
    names_per_file: str,
    moment: str,
) -> None:
    give = os.link if names_per_file == "many" else refuse(errno.EPERM)

    def link(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        swap(path)
        give(source, target, follow_symlinks=follow_symlinks)

    if moment == "while":
        monkeypatch.setattr(os, "link", link)
    with open_part(path) as part:
        fill(part)
        if moment == "before":
            swap(path)
        with pytest.raises(HostError, match=re.compile("changed this file|no such file")):
            part.put(final)
    assert not os.path.lexists(final)


def test_what_others_put_there_is_not_removed(path: Path) -> None:
    with open_part(path) as part:
        fill(part)
        put_another(path)
        part.discard()
    assert path.read_bytes() == THEIRS
