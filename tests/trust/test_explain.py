"""`relsign verify --explain`: every line it prints is run, and says what the verdict says."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relsign.cli.explain import show_explanation
from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.formats.policy import Revocation, Vouched
from relsign.system.clock import now_utc
from relsign.trust.explain import Places, Step, explain
from relsign.trust.outside import verify_files
from relsign.verify.decision import Decision
from relsign.verify.verdict import STEPS, Word
from tests.projects import PROGRAM, Project
from tests.trust.replays import BUNDLE, lasting, lay, release, run
from tests.verify.releases import (
    NAME,
    NOW,
    signed_root,
)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Return a folder with what a person downloads: artifact, bundle, pinned root."""
    folder = tmp_path / "down load"
    folder.mkdir()
    lay(folder, release(lasting()))
    return folder


def replay(where: Path, /, **changes: str) -> tuple[Decision, tuple[Step, ...]]:
    """Decide on a download and explain it; paths are as seen from its folder."""
    places = {"artifact": NAME, "bundle": BUNDLE, "root": "root.json", "folder": "by hand"}
    pinned = (where / "root.json").read_bytes()
    bundle = where / BUNDLE
    decision = verify_files(pinned, [where / NAME], bundle if bundle.exists() else None, NOW)
    return decision, explain(decision, pinned, NAME, Places(**{**places, **changes}), NOW)


def test_every_line_holds_on_a_good_download(download: Path) -> None:
    decision, steps = replay(download)
    assert decision.verdict.word is Word.VERIFIED
    assert run(download, steps) == {}
    assert [(s.number, s.name) for s in steps] == list(enumerate(("prepare", *STEPS)))
    assert [s.number for s in steps if not s.commands] == [8, 9]
    assert sum("openssl pkeyutl" in c for s in steps for c in s.commands) >= 2 + 2 + 2 + 2
    assert sorted(p.name for p in download.iterdir()) == ["by hand", BUNDLE, NAME, "root.json"]


def test_the_whole_text_may_be_pasted_at_once(download: Path) -> None:
    _, steps = replay(download)
    text = "set -e\n" + "\n".join(c for s in steps for c in s.commands)
    done = subprocess.run(
        ["sh"], input=text, cwd=download, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_published_release_is_replayed_and_in_toto_agrees(project: Project) -> None:
    assert project.signed().publish() == 0
    now, root = now_utc(), project.root_file.read_bytes()
    folder, bundle = project.published, project.published / BUNDLE
    decision = verify_files(root, [folder / NAME], bundle, now)
    here, made = str(folder), str(project.folder / "by hand")
    places = Places(f"{here}/{NAME}", str(bundle), str(project.root_file), made, here)
    steps = explain(decision, root, NAME, places, now)
    assert sum("in-toto-verify" in command for command in steps[4].commands) == 1
    before = sorted(folder.rglob("*"))
    assert run(project.folder, steps) == {}
    assert sorted(folder.rglob("*")) == before


def test_paths_are_quoted_and_never_options(download: Path) -> None:
    names = {"artifact": "-x $(touch a).gz", "bundle": "-b';touch b;'", "root": "-r\n`touch c`"}
    for (_, new), old in zip(names.items(), (NAME, BUNDLE, "root.json"), strict=True):
        shutil.copy(download / old, download / new)
    _, steps = replay(download, **names, folder="-f $(touch d)")
    assert run(download, steps) == {}
    assert not {"a", "b", "c", "d"} & {p.name for p in download.iterdir()}


HOSTILE = (
    "a;touch PWNED;.gz",
    "$(touch PWNED).gz",
    "`touch PWNED`.gz",
    "a\ntouch PWNED\n.gz",
    "a\r\ntouch PWNED #'.gz",
    "'; touch PWNED; '.gz",
    "a\x85touch PWNED\u2028touch PWNED.gz",
    os.fsdecode(b"\xff;touch PWNED;"),
)


@pytest.mark.parametrize("verbose", [(), ("-v",)])
@pytest.mark.parametrize("name", HOSTILE)
def test_the_whole_output_is_safe_in_a_shell_whatever_the_names(
    download: Path, name: str, verbose: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = download / "in" / name
    there.mkdir(parents=True)
    monkeypatch.chdir(there)
    for file, new in ((NAME, name), (NAME, NAME), (BUNDLE, BUNDLE), ("root.json", f"r{name}")):
        (there / new).write_bytes((download / file).read_bytes())
    for file, code in ((NAME, 0), (name, 1)):
        words = ("verify", "--explain", *verbose, "--root", f"r{name}", "--bundle", BUNDLE)
        said = subprocess.run(
            [PROGRAM, *words, there / file], capture_output=True, check=False, timeout=60
        )
        assert said.returncode == code, said.stderr
        assert said.stdout.startswith(b"# VERIFIED  " if code == 0 else b"# REFUSED  ")
        done = subprocess.run(
            ["sh", "-e"], input=said.stdout, capture_output=True, check=False, timeout=60
        )
        # What was refused is a name no release knows: no command speaks of it.
        assert done.returncode == 0, done.stderr
        assert not list(download.rglob("PWNED*"))
        (line,) = (x for x in said.stdout.decode().splitlines() if x.startswith("mkdir "))
        shutil.rmtree(line.split()[1])


def test_explain_prints_for_a_shell_or_not_at_all(download: Path) -> None:
    words = ["verify", "--explain", "--root", str(download / "root.json"), str(download / NAME)]
    for other in ("--json", "-q"):
        assert execute([*words, other]) == 2


# --- releases that are not good ----------------------------------------------------------------


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(bytes(data))


def change_bundle(folder: Path, name: str, change: Callable[[dict[str, object]], None]) -> None:
    """Change one JSON file of the bundle, and keep the bundle's own form."""
    bundle = json.loads((folder / BUNDLE).read_bytes())
    inner = json.loads(base64.b64decode(bundle["files"][name]))
    change(inner)
    data = json.dumps(inner, sort_keys=True, separators=(",", ":")).encode()
    bundle["files"][name] = base64.b64encode(data).decode()
    whole = json.dumps(bundle, sort_keys=True, separators=(",", ":")).encode()
    (folder / BUNDLE).write_bytes(whole)


def spoil_signatures(envelope: dict[str, object]) -> None:
    signatures = envelope["signatures"]
    assert isinstance(signatures, list)
    for signature in signatures:
        raw = bytearray(base64.b64decode(signature["sig"]))
        raw[5] ^= 1
        signature["sig"] = base64.b64encode(raw).decode()


def link_of(folder: Path) -> str:
    files: dict[str, str] = json.loads((folder / BUNDLE).read_bytes())["files"]
    return min(name for name in files if name.startswith("build.") and name.endswith("link"))


def test_a_flipped_byte_fails_where_the_bytes_are_compared(download: Path) -> None:
    flip(download / NAME)
    decision, steps = replay(download)
    assert decision.verdict.word is Word.REFUSED
    failed = run(download, steps)
    assert list(failed) == [2]
    assert failed[2][0].startswith("sha256sum < ")


@pytest.mark.parametrize(
    ("name", "number"), [("release.statement", 3), ("release.layout", 4), ("link", 5)]
)
def test_a_false_signature_fails_where_it_is_checked(
    download: Path, name: str, number: int
) -> None:
    change_bundle(download, link_of(download) if name == "link" else name, spoil_signatures)
    decision, steps = replay(download)
    assert decision.verdict.word is not Word.VERIFIED
    failed = run(download, steps)
    assert list(failed) == [number]
    assert all("openssl pkeyutl -verify" in line for line in failed[number])


def test_without_a_bundle_there_is_nothing_to_replay(download: Path) -> None:
    (download / BUNDLE).unlink()
    decision, steps = replay(download)
    assert decision.verdict.word is Word.NOT_ENOUGH
    assert [(s.number, s.commands) for s in steps] == [(n, ()) for n in range(1, 10)]
    assert steps[0].promise == "there is no bundle that can be read, so nothing can be replayed"


# --- roots that change, OpenPGP, logs: releases in memory ---------------------------------------


def test_every_later_root_is_walked_to(tmp_path: Path) -> None:
    later = signed_root(lasting(2), ("olga", "oona"))
    last = signed_root(lasting(3), ("olga", "otto"))
    decision, steps = lay(tmp_path, release(lasting()), _2_root_json=later, _3_root_json=last)
    assert decision.verdict.word is Word.VERIFIED
    assert run(tmp_path, steps) == {}
    assert sum("openssl pkeyutl" in command for command in steps[1].commands) == 2 + 2 + 2
    assert (tmp_path / "by-hand/root-3.signed").read_bytes() == lasting(3).to_bytes()


def test_a_revoked_release_fails_where_the_list_is_read(tmp_path: Path) -> None:
    it = release(lasting())
    digest = sha256_hex(it.statement().to_bytes())
    revoked = (Revocation(statement_sha256=digest, reason="a stolen key"),)
    later = signed_root(lasting(2, revoked=revoked))
    decision, steps = lay(tmp_path, it, _2_root_json=later)
    assert decision.verdict.word is Word.REFUSED
    assert list(run(tmp_path, steps)) == [7]


def test_a_vouched_release_is_replayed_by_the_root_of_its_day(tmp_path: Path) -> None:
    first, it = lasting(), release(lasting(2))
    statement = sha256_hex(it.statement().to_bytes())
    vouched = (
        Vouched(
            statement_sha256=statement, version="1.0", root_sha256=sha256_hex(first.to_bytes())
        ),
    )
    it = replace(it, root=lasting(2, vouched=vouched))
    decision, steps = lay(tmp_path, it, _1_root_json=signed_root(first))
    assert decision.verdict.word is Word.VERIFIED
    assert run(tmp_path, steps) == {}
    assert any("root-1.signed" in command for command in steps[3].commands)


def test_a_root_of_its_day_that_is_missing_leaves_the_newest(tmp_path: Path) -> None:
    it = release(lasting(2))
    statement = sha256_hex(it.statement().to_bytes())
    vouched = (Vouched(statement_sha256=statement, version="1.0", root_sha256=statement),)
    decision, steps = lay(tmp_path, replace(it, root=lasting(2, vouched=vouched)))
    assert decision.verdict.word is Word.NOT_ENOUGH
    assert run(tmp_path, steps) == {}


def test_a_proof_of_the_log_is_shown(tmp_path: Path) -> None:
    decision, steps = lay(tmp_path, release(lasting()), **{"release_tlog-proof": b"proof\n"})
    assert decision.verdict.word is Word.VERIFIED
    assert steps[8].commands == ("cat by-hand/release.tlog-proof",)
    assert run(tmp_path, steps) == {}


@pytest.mark.parametrize("data", [None, b"junk", b'{"signatures":[]}'])
def test_evidence_that_cannot_be_read_has_no_lines(tmp_path: Path, data: bytes | None) -> None:
    def spoil(files: dict[str, bytes]) -> dict[str, bytes]:
        kept = {n: d for n, d in files.items() if not n.startswith("build.")}
        kept.pop("release.layout")
        return kept if data is None else kept | {"release.layout": data}

    decision, steps = lay(tmp_path, release(lasting(), change_files=spoil))
    assert decision.verdict.word is not Word.VERIFIED
    assert steps[4].commands == steps[5].commands == ()
    assert run(tmp_path, steps) == {}


def test_a_name_the_release_does_not_know_has_no_lines(tmp_path: Path) -> None:
    decision, _ = lay(tmp_path, release(lasting()))
    pinned = (tmp_path / "root.json").read_bytes()
    steps = explain(decision, pinned, "other", Places("other", BUNDLE, "root.json", "f"), NOW)
    assert (steps[2].commands, steps[2].promise) == ((), "other is not a name this release knows")


# --- on the terminal ---------------------------------------------------------------------------


def test_what_is_shown_may_be_pasted_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decision, _ = lay(tmp_path, release(lasting()))
    root = tmp_path / "root.json"
    show_explanation(
        decision,
        root.read_bytes(),
        file=tmp_path / NAME,
        bundle=tmp_path / BUNDLE,
        root=root,
        now=NOW,
    )
    text = capsys.readouterr().out
    assert text.startswith("#   0 prepare: the bundle is unpacked")
    assert "\n# ✓ 3 signers: 2 different people" in text
    done = subprocess.run(
        ["sh"], input=f"set -e\n{text}", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in text.splitlines() if line.startswith("mkdir "))
    shutil.rmtree(line.split()[1])


def test_a_publication_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decision, _ = lay(tmp_path, release(lasting()))
    root, pinned = tmp_path / "root.json", (tmp_path / "root.json").read_bytes()
    for bundle, words in ((tmp_path / BUNDLE, BUNDLE), (None, "no-bundle")):
        show_explanation(decision, pinned, file=tmp_path / NAME, bundle=bundle, root=root, now=NOW)
        text = capsys.readouterr().out
        assert words in text
        assert "in-toto-verify" not in text
    (tmp_path / "in-toto").mkdir()
    (tmp_path / "in-toto/release.layout").write_bytes(b"")
    show_explanation(decision, pinned, file=tmp_path / NAME, bundle=None, root=root, now=NOW)
    assert "in-toto-verify --layout in-toto/release.layout" in capsys.readouterr().out
