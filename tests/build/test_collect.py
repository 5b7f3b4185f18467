"""What an engine may answer when asked for an artifact, and what of it is believed."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import requests

from relsign.build.collect import collect_file
from relsign.build.engine.connection import Reply
from relsign.build.engine.container import MODE_LINK, STAT_HEADER, Container
from relsign.errors import HostError, InputError

INSIDE = "/build/src/a"
ROOM = 1 << 20


class Sending(Container):
    """A container whose engine answers with these bytes, whatever is asked for."""

    def __init__(self, tar: bytes, described: bytes = b'{"mode":420}') -> None:
        self.answer = requests.Response()
        self.answer.raw = io.BytesIO(tar)
        self.answer.headers[STAT_HEADER] = base64.b64encode(described).decode()

    def take(self, path: str) -> Reply:
        assert path == INSIDE
        return Reply(self.answer)


def tar_of(*names: str, data: bytes = b"abc") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def test_the_one_file_is_written_under_the_name_the_caller_chose(tmp_path: Path) -> None:
    built = collect_file(Sending(tar_of("../../etc/x")), INSIDE, tmp_path / "a", ROOM)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert built.path.read_bytes() == b"abc"
    assert (built.name, built.sha256, built.size, built.mode) == (
        "a", hashlib.sha256(b"abc").hexdigest(), 3, "0644"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("container", "error", "words"),
    [
        (Sending(tar_of("a", "b")), InputError, "more than one file"),
        (Sending(tar_of()), InputError, "a socket"),
        (Sending(tar_of("a", data=bytes(ROOM + 1))), InputError, "too large"),
        (Sending(tar_of("a"), b'{"mode":%d}' % MODE_LINK), InputError, "a symbolic link"),
        (Sending(tar_of("a"), b"{}"), HostError, "does not describe"),
        (Sending(tar_of("a", data=bytes(4000))[:2000]), HostError, "unreadable file"),
        (Sending(b"no tar" * 1000), HostError, "unreadable file"),
        (Sending(b""), HostError, "unreadable file"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    container: Sending, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        collect_file(container, INSIDE, tmp_path / "a", ROOM)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(HostError):
        collect_file(Sending(tar_of("a")), INSIDE, tmp_path / "a", ROOM)
    assert (tmp_path / "a").read_bytes() == b"old"
