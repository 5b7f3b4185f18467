"""Two files, two folders, two fingerprints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from relsign.build.explain import subjects
from relsign.build.explain.subjects import Explanation, explain
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.names import Digest
from tests.build.archives import Entry, tar
from tests.formats.samples import make_fingerprint


def names(found: Explanation) -> list[str]:
    return [each.cause.name for each in found.causes]


def folders(folder: Path) -> tuple[Path, Path]:
    pair = folder / "one", folder / "two"
    for path in pair:
        (path / "sub").mkdir(parents=True)
        (path / "a.txt").write_text("same\n")
        (path / "sub" / "b.txt").write_text("same\n")
        (path / "link").symlink_to("a.txt")
    return pair


def test_the_same_folders(tmp_path: Path) -> None:
    assert explain(*folders(tmp_path)).is_same


ODD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "text": (lambda two: (two / "sub/b.txt").write_text("other\n"), "sub/b.txt > line 1", "text"),
    "mode": (lambda two: (two / "a.txt").chmod(0o600), "a.txt", "mode"),
    "missing": (lambda two: (two / "a.txt").unlink(), "a.txt", "missing"),
    "more": (lambda two: (two / "z").write_text(""), "z", "missing"),
    "link": (lambda two: (two / "new").replace(two / "link"), "link", "text"),
    "type": (lambda two: (two / "new").replace(two / "a.txt"), "a.txt", "type"),
    "empty folder": (lambda two: (two / "empty").mkdir(), "empty", "missing"),
    "folder's mode": (lambda two: (two / "sub").chmod(0o700), "sub", "mode"),
}


@pytest.mark.parametrize("name", ODD)
def test_folders_are_paired_by_name(name: str, tmp_path: Path) -> None:
    one, two = folders(tmp_path)
    change, place, kind = ODD[name]
    if name in {"link", "type"}:
        (two / "new").symlink_to("elsewhere")
    change(two)
    found = explain(one, two)
    assert [(each.place, each.kind) for each in found.differences] == [(place, kind)]
    assert found.pairs == (((one / "sub/b.txt", two / "sub/b.txt"),) if name == "text" else ())


def test_folders_of_too_many_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "MAX_FILES", 3)
    with pytest.raises(InputError, match="too many files"):
        explain(*folders(tmp_path))


def test_fifos_of_folders_are_not_opened(tmp_path: Path) -> None:
    one, two = folders(tmp_path)
    for path in (one, two):
        os.mkfifo(path / "pipe")
    assert explain(one, two).is_same


def test_what_goes_between_listing_and_reading_is_said() -> None:
    """The kernel's folder of open files lists the one that lists it, which is closed then."""
    with pytest.raises(HostError, match="no such file or directory") as caught:
        explain(Path("/proc/self/fd"), Path("/proc/self/fd"))
    assert caught.value.where.startswith("/proc/self/fd/")


def two_fingerprints(
    folder: Path, texts: tuple[str, str], change: Callable[[Fingerprint], Fingerprint]
) -> tuple[Path, Path]:
    paths = []
    for side, text in enumerate(texts):
        here = folder / str(side)
        (here / "artifacts").mkdir(parents=True)
        made = make_fingerprint()
        first = msgspec.structs.replace(
            made.artifacts[0], sha256=Digest(sha256_hex(text.encode())), size=len(text)
        )
        (here / "artifacts" / first.name).write_text(text)
        made = msgspec.structs.replace(made, artifacts=(first, *made.artifacts[1:]))
        path = here / "x.fingerprint.json"
        path.write_bytes((change(made) if side else made).to_bytes())
        paths.append(path)
    return paths[0], paths[1]


def test_fingerprints_with_artifacts_beside_them(tmp_path: Path) -> None:
    pair = two_fingerprints(tmp_path, ("on 2026-11-21\n", "on 2026-11-29\n"), lambda made: made)
    found = explain(*pair)
    assert (found.subject, names(found)) == ("fingerprints", ["embedded-time"])
    assert len(found.pairs) == 1


def test_fingerprints_without_artifacts(tmp_path: Path) -> None:
    one, two = two_fingerprints(tmp_path, ("fox", "dog"), lambda made: made)
    for path in (tmp_path / "0/artifacts").iterdir():
        path.unlink()
    found = explain(one, two)
    assert [(each.kind, each.what) for each in found.differences] == [("bytes", "artifact")]
    assert names(found) == []


def test_artifacts_that_cannot_be_asked_for_are_said(tmp_path: Path) -> None:
    """The path of the fingerprint is as long as the system allows, the artifact's longer."""
    one, two = two_fingerprints(tmp_path, ("fox", "dog"), lambda made: made)
    folder = tmp_path
    while (room := 4095 - len(os.fsencode(folder / "f"))) > 1:
        # One more component and its slash, and never one byte short of the end.
        folder /= "x" * min(room - 1, 200)
    folder.mkdir(parents=True)
    with pytest.raises(HostError, match="file name too long"):
        explain(one, two.replace(folder / "f"))


def first(made: Fingerprint, **changes: object) -> Fingerprint:
    changed = msgspec.structs.replace(made.artifacts[0], **changes)
    return msgspec.structs.replace(made, artifacts=(changed, *made.artifacts[1:]))


OTHER_MODE = {"0644": "0755", "0755": "0644"}
STATED: dict[str, tuple[Callable[[Fingerprint], Fingerprint], str, str]] = {
    "size": (lambda made: first(made, size=7), "size", "bytes"),
    "normalised": (lambda made: first(made, normalised=("tar-1",)), "normalised", "text"),
    "mode": (lambda made: first(made, mode=OTHER_MODE[made.artifacts[0].mode]), "", "mode"),
}


@pytest.mark.parametrize("name", STATED)
def test_what_is_said_of_an_artifact_beside_its_digest(name: str, tmp_path: Path) -> None:
    change, place, kind = STATED[name]
    found = explain(*two_fingerprints(tmp_path, ("same", "same"), change))
    (difference,) = found.differences
    assert (difference.kind, difference.place.endswith(place)) == (kind, True)


def test_a_fingerprint_of_other_bytes_is_never_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in a field that nobody taught this to name."""
    monkeypatch.setattr(subjects, "_inputs", lambda _print: {})
    pair = two_fingerprints(
        tmp_path, ("same", "same"), lambda made: msgspec.structs.replace(made, version="9.9")
    )
    (difference,) = explain(*pair).differences
    assert "9.9" in difference.two


def test_the_same_fingerprints(tmp_path: Path) -> None:
    assert explain(*two_fingerprints(tmp_path, ("same", "same"), lambda made: made)).is_same


INPUTS: dict[str, tuple[Callable[[Fingerprint], Fingerprint], str]] = {
    "recipe": (
        lambda made: msgspec.structs.replace(made, recipe_sha256=Digest("ab" * 32)),
        "inputs > recipe",
    ),
    "epoch": (
        lambda made: msgspec.structs.replace(made, source_date_epoch=None),
        "inputs > SOURCE_DATE_EPOCH",
    ),
    "environment": (
        lambda made: msgspec.structs.replace(
            made,
            environment=msgspec.structs.replace(made.environment, lock_sha256=Digest("ab" * 32)),
        ),
        "inputs > environment lock",
    ),
    "profile": (
        lambda made: msgspec.structs.replace(
            made, profile=msgspec.structs.replace(made.profile, without=("time zone",))
        ),
        "inputs > knobs the engine lacked",
    ),
    "source": (
        lambda made: msgspec.structs.replace(
            made,
            sources=(msgspec.structs.replace(made.sources[0], sha256=Digest("ab" * 32)),),
        ),
        "inputs > source ",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_other_inputs_are_named(name: str, tmp_path: Path) -> None:
    change, place = INPUTS[name]
    found = explain(*two_fingerprints(tmp_path, ("same", "same"), change))
    assert names(found)[0] == "other-inputs"
    assert found.differences[0].place.startswith(place)


def test_a_malformed_fingerprint_is_refused(tmp_path: Path) -> None:
    one, two = two_fingerprints(tmp_path, ("same", "same"), lambda made: made)
    two.write_bytes(two.read_bytes() + b"\n")
    with pytest.raises(InputError):
        explain(one, two)


def test_an_archive_that_holds_a_fingerprint_is_none(tmp_path: Path) -> None:
    for name, more in (("one", b"fox"), ("two", b"dog")):
        held = Entry("f", make_fingerprint().to_bytes())
        (tmp_path / name).write_bytes(tar(held, Entry("g", more)))
    found = explain(tmp_path / "one", tmp_path / "two")
    assert [each.place for each in found.differences] == ["one > g > line 1"]


@pytest.mark.parametrize("kind", ["folder", "link", "fifo", "nothing"])
def test_what_cannot_be_compared_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("x")
    two = tmp_path / "two"
    make: dict[str, Callable[[], object]] = {
        "folder": two.mkdir,
        "link": lambda: two.symlink_to("one"),
        "fifo": lambda: os.mkfifo(two),
        "nothing": two.exists,
    }
    make[kind]()
    with pytest.raises(InputError):
        explain(tmp_path / "one", two)
