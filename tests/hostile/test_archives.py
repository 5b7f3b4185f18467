"""Any bytes where an archive is read: members or a refusal, and nothing outside."""

from __future__ import annotations

import io
import posixpath
import stat
from collections.abc import Callable

import pytest

from relsign.build.archives.members import Kind, Limits, checked_tree
from relsign.build.archives.read_tar import TarReader
from relsign.build.archives.read_zip import ZipReader
from relsign.errors import InputError
from tests.build.archives import Entry, pax, record, tar, zipped
from tests.hostile.mutate import NUMBERS, Bytes
from tests.hostile.survival import MUTATIONS, count_refusals

LIMITS = Limits(entries=100, total_bytes=1 << 20)
LINK = stat.S_IFLNK | 0o777
TAR = tar(
    Entry("d/", type=b"5", mode=0o755),
    pax(record("path", "d/long"), record("mtime", "1.5")),
    Entry("d/x", b"contents"),
    Entry("d/link", type=b"2", target="long"),
)
ZIP = zipped(("d/", b"", 0o40755), ("d/a", b"contents" * 9, 0o100644), ("d/l", b"a", LINK))
WORDS = (
    *(*NUMBERS, b"../", b"/", b"\x1b", b"\xe2\x80\xae", b"0", b"7", b" ", b"x", b"g", b"L", b"K"),
    *(b"1", b"2", b"3", b"S", b"ustar\x0000", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"),
    *(b"PK\x06\x06", record("path", "../x"), record("size", "99999999999"), record("GNU.x", "1")),
)


def read_tar(data: bytes) -> None:
    """Read the members of a tar and put them in order; none may lead out."""
    members = checked_tree(TarReader(io.BytesIO(data), io.BytesIO()).members(), 0, LIMITS)
    for member in members:
        whole = posixpath.normpath(posixpath.join("/r", member.name))
        assert whole.startswith("/r/")
        if member.kind is Kind.LINK:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(whole), member.target))
            assert f"{target}/".startswith("/r/")


def read_zip(data: bytes) -> None:
    """Read the members of a zip file and put them in order."""
    checked_tree(ZipReader(io.BytesIO(data), io.BytesIO(), LIMITS).members(), 0, LIMITS)


READERS: dict[str, tuple[Callable[[bytes], object], bytes, int]] = {
    "tar": (read_tar, TAR, MUTATIONS * 3 // 4),
    "zip": (read_zip, ZIP, MUTATIONS),
}


def _mended(data: bytes) -> bytes:
    """Return a tar whose headers' sums fit again, so that what they say is read."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(_summed(block) for block in blocks)


def _summed(block: bytes) -> bytes:
    if len(block) < 512 or block[257:262] != b"ustar":
        return block
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


@pytest.mark.parametrize("name", READERS)
def test_any_bytes(name: str) -> None:
    read, good, count = READERS[name]
    read(good)
    refused = count_refusals(read, Bytes(good, name, WORDS).make, count)
    assert count // 4 < refused < count


def test_headers_whose_sum_is_right() -> None:
    read_tar(_mended(TAR))
    make = Bytes(TAR, "mended", WORDS).make
    refused = count_refusals(read_tar, lambda: _mended(make()), MUTATIONS // 4)
    assert MUTATIONS // 16 < refused < MUTATIONS // 4


def test_a_zip_entry_without_a_name() -> None:
    nameless = zipped(("a", b"contents", 0o100644))
    place = nameless.rindex(b"PK\x01\x02")
    lengths = nameless[place + 28 : place + 30]
    assert lengths == b"\x01\x00"
    # What was the name becomes an extra field of no use.
    shorter = nameless[: place + 28] + b"\x00\x00\x01\x00" + nameless[place + 32 :]
    with pytest.raises(InputError, match="without a name"):
        read_zip(shorter)
