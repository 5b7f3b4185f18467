"""A relay's messages on disk: append-only, durable before they are acknowledged.

    STORE/TOPIC/NUMBER.SHA256.KEYID.msg

The name says all that a relay knows of a message: its place in the topic, its digest and
the member who brought it.  So there is no index that could differ from the files; what is
in memory is read from the names at the start.  Only the relay writes here.  Whoever else
can, may remove messages or add some that no reader will believe.

Each member has a share of its own, so nobody can fill the relay for the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import stat
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import shorten
from relsign.formats.relay import MAX_MESSAGE_BYTES, PAGE_BYTES, PAGE_MESSAGES
from relsign.relay.quota import Quota, Usage
from relsign.system.files import host_error, make_folder, read_bounded, sync_folder, write_whole

_TOPIC = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"([0-9]{9})\.([0-9a-f]{64})\.([0-9a-f]{64})\.msg")


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that is on the disk."""

    number: int
    sha256: str
    keyid: str
    size: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.number:09}.{self.sha256}.{self.keyid}.msg"


@dataclass(frozen=True, slots=True)
class Stored:
    """Messages from one topic, in order."""

    messages: tuple[tuple[int, bytes], ...]
    more: bool


class Store:
    """The messages below one folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, quota: Quota, log: Callable[[str], None]) -> None:
        """Read what is there; say in `log` what does not belong there.

        Raises HostError for a folder that cannot be read or made.
        """
        self._folder = folder
        self._quota = quota
        self._log = log
        self._lock = threading.Lock()
        self._topics: dict[str, dict[str, Entry]] = {}
        self._usage: defaultdict[str, Usage] = defaultdict(Usage)
        make_folder(folder, 0o700)
        try:
            for path in sorted(folder.iterdir()):
                if _TOPIC.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                    self._load(path)
                elif not path.name.startswith("."):
                    log(f"ignored in the store: {shorten(path.name)}")
        except OSError as error:
            raise host_error(error, folder) from error

    @property
    def size(self) -> tuple[int, int]:
        """How many topics and messages there are."""
        return len(self._topics), sum(map(len, self._topics.values()))

    def _load(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            status = path.lstat()
            if match and stat.S_ISREG(status.st_mode):
                number, digest, keyid = match.groups()
                self._remember(folder.name, Entry(int(number), digest, keyid, status.st_size))
            elif path.name.startswith(".") and path.name.endswith(".tmp"):
                # The relay died while it wrote this; nobody was told that it is here.
                path.unlink()
            else:
                self._log(f"ignored in topic {folder.name[:12]}: {shorten(path.name)}")

    def _remember(self, topic: str, entry: Entry) -> None:
        self._topics.setdefault(topic, {})[entry.sha256] = entry
        self._usage[entry.keyid].add(topic, entry.size)

    def put(self, topic: str, message: bytes, keyid: str) -> tuple[int, bool]:
        """Keep a member's message; return its number and whether it is new here.

        It is on the disk on return.  Raises RefusedError beyond the member's quota,
        HostError if the disk refuses.
        """
        digest = hashlib.sha256(message).hexdigest()
        with self._lock:
            entries = self._topics.get(topic, {})
            entry = entries.get(digest)
            if entry is not None and self._read(topic, entry) is not None:
                return entry.number, False
            if entry is None:
                self._usage[keyid].refuse_beyond(self._quota, topic, len(message))
                last = max((one.number for one in entries.values()), default=0)
                entry = Entry(last + 1, digest, keyid, len(message))
            folder = self._folder / topic
            if not folder.exists():
                make_folder(folder, 0o700)
                sync_folder(self._folder)
            write_whole(folder / entry.name, message, 0o600)
            if digest not in entries:
                self._remember(topic, entry)
            return entry.number, True

    def page(self, topic: str, after: int) -> Stored:
        """Return the next messages of a topic; one whose file was spoilt is left out."""
        with self._lock:
            entries = tuple(self._topics.get(topic, {}).values())
        messages: list[tuple[int, bytes]] = []
        size = 0
        for entry in sorted(entries, key=lambda one: one.number):
            if entry.number <= after:
                continue
            if len(messages) == PAGE_MESSAGES or (messages and size + entry.size > PAGE_BYTES):
                return Stored(tuple(messages), more=True)
            message = self._read(topic, entry)
            if message is not None:
                messages.append((entry.number, message))
                size += entry.size
        return Stored(tuple(messages), more=False)

    def _read(self, topic: str, entry: Entry) -> bytes | None:
        with contextlib.suppress(InputError, NotEnoughError):
            data = read_bounded(self._folder / topic / entry.name, MAX_MESSAGE_BYTES)
            if hashlib.sha256(data).hexdigest() == entry.sha256:
                return data
        self._log(f"spoilt on the disk: {topic[:12]}/{entry.name[:24]}")
        return None
