"""Only what the recipe names is rewritten, and the digests are those of what lies there."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from relsign.build.collect import BuiltFile
from relsign.build.normalise.artifacts import normalise_artifacts
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError
from relsign.formats.names import Normaliser
from relsign.formats.recipe import Artifact, Target, parse_recipe
from tests.formats.dependency_samples import RICH_RECIPE

TARGET = parse_recipe(RICH_RECIPE).target[0]


def wanting(**names: tuple[Normaliser, ...]) -> Target:
    artifacts = tuple(Artifact(path=f"out/{name}", normalise=how) for name, how in names.items())
    return msgspec.structs.replace(TARGET, artifact=artifacts)


def collected(folder: Path, **files: bytes) -> tuple[BuiltFile, ...]:
    made = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        made.append(BuiltFile(name, folder / name, sha256_hex(data), len(data), "0644"))
    return tuple(made)


def test_only_named_artifacts_are_rewritten(tmp_path: Path) -> None:
    data = gzip.compress(b"x", mtime=77)
    files = collected(tmp_path, one=data, two=data, packed=data)
    one, two, packed = normalise_artifacts(wanting(one=("gzip-1",), two=()), files)
    assert (two, packed) == files[1:]
    plain = (tmp_path / "one").read_bytes()
    assert plain == gzip.compress(b"x", mtime=0)[:8] + b"\0\xff" + data[10:]
    assert (one.sha256, one.size, one.mode) == (sha256_hex(plain), len(plain), "0644")
    assert (tmp_path / "two").read_bytes() == data


@pytest.mark.parametrize("epoch", [5, "unset"])
def test_the_targets_epoch_is_used(epoch: object, tmp_path: Path) -> None:
    member = b"%-16s%-12s%-6s%-6s%-8s%-10s`\nxx" % (b"a/", b"77", b"1", b"2", b"644", b"2")
    target = msgspec.structs.replace(wanting(lib=("ar-1",)), source_date_epoch=epoch)
    normalise_artifacts(target, collected(tmp_path, lib=b"!<arch>\n" + member))
    assert (tmp_path / "lib").read_bytes()[24:26] == (b"0 " if epoch == "unset" else b"5 ")


def test_a_refusal_leaves_no_artifact(tmp_path: Path) -> None:
    files = collected(tmp_path, good=gzip.compress(b"x"), bad=b"no archive", other=b"x")
    with pytest.raises(InputError, match="not a gzip file") as caught:
        normalise_artifacts(wanting(good=("gzip-1",), bad=("gzip-1",)), files)
    assert caught.value.where == "relsign.toml: target linux-amd64: bad"
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_vanished_artifact_leaves_none_either(tmp_path: Path) -> None:
    files = collected(tmp_path, good=gzip.compress(b"x"), gone=b"x")
    (tmp_path / "gone").unlink()
    with pytest.raises(NotEnoughError, match="no such file"):
        normalise_artifacts(wanting(good=("gzip-1",), gone=("gzip-1",)), files)
    assert list(tmp_path.iterdir()) == []
