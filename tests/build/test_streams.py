"""The sources of one build are no larger together than the folder they are unpacked into."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path

import msgspec
import pytest

from relsign.build.inputs.streams import source_streams
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.recipe import Archive
from tests.build.archives import Entry, tar

MIB = 1 << 20
HALF = tar(Entry("p-1/f", bytes(MIB // 2)))
LINKS = tar(
    Entry("p-1/f", bytes(MIB // 2)),
    *(Entry(f"p-1/{i}", type=tarfile.LNKTYPE, target="p-1/f") for i in range(2)),
)


def kept(store: Store, name: str, data: bytes) -> Archive:
    digest = Digest(hashlib.sha256(data).hexdigest())
    store.add(digest, lambda sink: sink.write(data))
    return Archive(name=name, sha256=digest, url=f"http://x/{name}", file=f"{name}.tar")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_sources_in_their_order(store: Store) -> None:
    whole = msgspec.structs.replace(kept(store, "b", b"raw"), unpack=False)
    sources = (kept(store, "a", gzip.compress(HALF)), whole)
    names = []
    with source_streams(store, sources, MIB) as streams:
        for stream in streams:
            with tarfile.open(fileobj=stream) as archive:
                names.append(archive.getnames())
    assert names == [["a", "a/f"], ["b", "b/b.tar"]]


@pytest.mark.parametrize("last", [HALF, gzip.compress(HALF), bytes(MIB // 2)])
def test_together_they_fit_into_the_build_folder(store: Store, last: bytes) -> None:
    unpack = any(last)
    second = msgspec.structs.replace(kept(store, "b", last), unpack=unpack)
    sources = (kept(store, "a", gzip.compress(HALF)), second)
    with source_streams(store, sources, 2 * MIB) as streams:
        assert len(streams) == len(sources)
    with pytest.raises(InputError) as caught, source_streams(store, sources, MIB):
        pass
    assert caught.value.where == "relsign.toml: source[1]"
    assert caught.value.hint


def test_an_archive_of_hard_links_is_refused_alone(store: Store) -> None:
    """Packed, the links weigh nothing; each is a file in the build folder."""
    with (
        pytest.raises(InputError, match=f"more than {MIB} bytes"),
        source_streams(store, (kept(store, "a", gzip.compress(LINKS)),), MIB),
    ):
        pass
