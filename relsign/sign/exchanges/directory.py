"""An exchange that is a folder: a git checkout, a USB stick, a shared disk.

    FOLDER/TOPIC/SHA256.msg

A file is named by the digest of what it holds.  So two people never write one name with
two contents: git merges without conflict, copies of sticks may be laid over each other,
and a file that was cut off or changed is seen.  Whoever can write here can remove
messages and add junk; nobody can change one.

Everything is reached from the folder's own descriptor, and no symbolic link below it is
followed: not out of it when reading, not out of it when writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.relay import MAX_MESSAGE_BYTES, MAX_TOPIC_MESSAGES
from relsign.sign.exchanges.interface import (
    Received,
    check_message,
    check_topic,
    few_lines,
    too_many,
)
from relsign.system.files import host_error

MAX_ENTRIES = 1 << 16
"""Names of one folder that are looked at."""
_ENDING = ".msg"
_NAME = re.compile(r"[0-9a-f]{64}\.msg")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class DirectoryExchange:
    """Messages as files below a folder that must exist."""

    folder: Path

    def put(self, topic: str, message: bytes) -> None:
        """Add a message: see `Exchange.put`."""
        check_topic(topic)
        check_message(message)
        name = sha256(message).hexdigest() + _ENDING
        with self._naming(f"{topic}/{name}"), self._open() as top:
            with contextlib.suppress(FileExistsError):
                os.mkdir(topic, 0o755, dir_fd=top)
                os.fsync(top)
            with _open_topic(topic, top) as inside:
                if _read(name, inside) != message:
                    _write(name, message, inside)

    def messages(self, topic: str) -> Received:
        """Return the messages of a topic: see `Exchange.messages`."""
        check_topic(topic)
        with self._naming(topic), self._open() as top:
            try:
                with _open_topic(topic, top) as inside:
                    return _read_all(inside)
            except FileNotFoundError:
                return Received(())

    def check(self) -> None:
        """Raise InputError if there is no such folder, HostError if it is closed to this user."""
        with self._naming(""), self._open():
            pass

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        """Yield a descriptor of the folder, which the person named and may be a link."""
        try:
            descriptor = os.open(self.folder, _FOLDER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                "no such folder",
                where=os.fspath(self.folder),
                hint="is the stick mounted? Otherwise make it: `mkdir`, or `git clone`",
            ) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Say which file it was that the system refused."""
        path = self.folder / name
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR}:
                raise InputError(
                    "something else stands where messages belong",
                    where=os.fspath(path),
                    expected="a real folder, and files in it",
                    hint="move it away; links are not followed",
                ) from error
            raise host_error(error, path) from error


@contextlib.contextmanager
def _open_topic(topic: str, top: int) -> Iterator[int]:
    descriptor = os.open(topic, _FOLDER | os.O_NOFOLLOW, dir_fd=top)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_all(folder: int) -> Received:
    names: list[str] = []
    lines: list[str] = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == MAX_ENTRIES:
                lines.append(f"the folder has more than {MAX_ENTRIES} names; the rest is not read")
                break
            if _NAME.fullmatch(entry.name):
                names.append(entry.name)
            elif not entry.name.startswith("."):
                # Hidden names are git's, a file manager's, and writing that was cut short.
                lines.append(f"{shorten(entry.name)}: not the name of a message")
    names.sort()
    if len(names) > MAX_TOPIC_MESSAGES:
        lines.append(too_many(len(names) - MAX_TOPIC_MESSAGES))
    messages = []
    for name in names[:MAX_TOPIC_MESSAGES]:
        content = _read(name, folder)
        if isinstance(content, bytes):
            messages.append(content)
        else:
            lines.append(f"{name[:12]}...{_ENDING}: {content}")
    return Received(tuple(messages), few_lines(sorted(lines)))


def _read(name: str, folder: int) -> bytes | str:
    """Return the message in a file, or in words why it holds none."""
    try:
        data = _read_regular(name, folder)
    except OSError as error:
        return (error.strerror or "cannot be read").lower()
    if data is None:
        return "a link, folder, fifo or device"
    if len(data) > MAX_MESSAGE_BYTES:
        return f"larger than {MAX_MESSAGE_BYTES} bytes"
    if not data or sha256(data).hexdigest() + _ENDING != name:
        return "not what its name says: cut off or changed"
    return data


def _read_regular(name: str, folder: int) -> bytes | None:
    """Return at most a byte more than a message may have; None if it is no regular file."""
    # Looked at first: to open some devices is to use them.
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return None
    descriptor = os.open(name, _READ, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as stream:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return stream.read(MAX_MESSAGE_BYTES + 1) if regular else None


def _write(name: str, message: bytes, folder: int) -> None:
    """Write a file whole: whatever bears its name and is not it, is replaced."""
    temporary = f".{name[:12]}.{os.urandom(6).hex()}.tmp"
    descriptor = os.open(temporary, _NEW, 0o644, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(message)
            stream.flush()
            os.fsync(descriptor)
        # Renaming replaces a link itself, never what it leads to.
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)
