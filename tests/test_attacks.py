"""The attacks this software is judged by, by number: the exact verdict, code, and no trace.

Each goes through the decision and, as a person meets it, through the program.  What
touches building and publishing only is tested where that is done.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import parse_ed25519
from relsign.errors import InputError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, make_bundle
from relsign.formats.policy import parse_policy
from relsign.formats.root import MAX_ROOT_BYTES, root_file_name
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands
from relsign.verify.verdict import STEPS, Row, Word
from tests.attacks import (
    COLLUDING,
    EVIL,
    LAYOUTS,
    MIXED,
    ODD_THRESHOLDS,
    ONE_DIFFERS,
    ONE_KEY,
    ONE_PERSON,
    REPLAYED,
    TOO_LARGE,
    Attack,
    threshold,
    with_root,
)
from tests.attacks_on_form import (
    ENVELOPES,
    FORKS,
    NAMES,
    OPENPGP,
    TWICE,
    WEAK_KEYS,
    named,
    with_weak,
)
from tests.hostile.downloads import BUNDLE, FAR_AHEAD, MIB, lasting, lines_of, put, verify
from tests.projects import POLICY, Project, run_program
from tests.verify.broken import BROKEN, added
from tests.verify.broken_full import BROKEN_FULL
from tests.verify.broken_release_key import BROKEN_RELEASE_KEY
from tests.verify.releases import (
    ARTIFACT,
    NAME,
    Release,
    link_files,
    make_root,
    root_of,
    signed_root,
)

BAD_INPUT, NO_ROOT = 2, 4
LARGEST = {BUNDLE: MAX_BUNDLE_BYTES, "root.json": MAX_ROOT_BYTES}
Snapshot = dict[str, tuple[int, int, bytes]]


def snapshot(folder: Path) -> Snapshot:
    """Return every name below a folder, with mode, time of change and contents."""
    found: Snapshot = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (about.st_mode, about.st_mtime_ns, data)
    return found


def row(decision: Decision, name: str) -> Row:
    return decision.verdict.rows[STEPS.index(name)]


def by_program(folder: Path, *words: str, file: str = NAME) -> tuple[int, str]:
    """Run the program, which must write nothing; return its exit code and what it said."""
    before = snapshot(folder)
    done = verify(folder, *words, file=file)
    assert snapshot(folder) == before
    return done.returncode, "\n".join(lines_of(done))


def is_stopped(attack: Attack, folder: Path) -> None:
    """Take an attack through the decision and the program."""
    decision = attack.release.decide()
    said = row(decision, attack.step)
    assert decision.verdict.word is attack.word, decision.verdict
    assert attack.says in said.text, said
    assert said.hint, said
    assert decision.release is None
    put(folder, attack.release)
    if attack.release.artifacts == {NAME: EVIL.artifacts[0].sha256}:
        (folder / NAME).write_bytes(b"other bytes")
    code, text = by_program(folder)
    assert (code, text.startswith(attack.word.value)) == (attack.word.exit_code, True), text
    assert attack.says in text


def test_without_an_attack_it_is_verified(tmp_path: Path) -> None:
    assert lasting().decide().verdict.word is Word.VERIFIED
    assert by_program(put(tmp_path, lasting()))[0] == 0


def test_attack_01_one_builder_of_three_differs(tmp_path: Path) -> None:
    decision = ONE_DIFFERS.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert row(decision, "builders").evidence == (
        "dissent: builder-c got other bytes at step build",
    )
    code, text = by_program(put(tmp_path, ONE_DIFFERS), "-v")
    assert (code, "dissent: builder-c got other bytes" in text) == (0, True)
    strict = replace(ONE_DIFFERS, demands=Demands(refuse_dissent=True)).decide()
    assert strict.verdict.word is Word.REFUSED
    assert "dissent: builder-c" in row(strict, "builders").text


def test_attack_01_by_default_nothing_is_published_over_a_dissent(project: Project) -> None:
    project.signed().build("builder-c", b"other bytes")
    assert project.publish() == Word.REFUSED.exit_code
    assert not project.site.exists() or not any(project.site.rglob("*.tar.gz"))


@pytest.mark.parametrize("name", COLLUDING)
def test_attack_02_one_builder_too_few_colludes(name: str, tmp_path: Path) -> None:
    is_stopped(COLLUDING[name], tmp_path)


@pytest.mark.parametrize("name", ONE_KEY)
def test_attack_03_one_key_counts_once(name: str, tmp_path: Path) -> None:
    is_stopped(ONE_KEY[name], tmp_path)


@pytest.mark.parametrize("name", ONE_PERSON)
def test_attack_04_one_person_counts_once(name: str, tmp_path: Path) -> None:
    is_stopped(ONE_PERSON[name], tmp_path)


@pytest.mark.parametrize("role", ["owners", "signers", "builders", "organisations"])
def test_attack_05_odd_thresholds_are_refused_when_they_load(role: str, tmp_path: Path) -> None:
    for odd in ODD_THRESHOLDS:
        decision = threshold(role, odd).decide()
        assert decision.verdict.word is Word.REFUSED, odd
        assert row(decision, "root").hint, odd
    for written in ("0", "-1", "true", '"2"', "2.5", "65", "[]"):
        with pytest.raises(InputError, match=role):
            parse_policy(POLICY.replace(f"{role} = 2", f"{role} = {written}").encode())
    code, text = by_program(put(tmp_path, threshold(role, 0)))
    assert (code, text.startswith("REFUSED")) == (1, True)


@pytest.mark.parametrize("role", TOO_LARGE)
def test_attack_05_a_threshold_larger_than_its_role(role: str, tmp_path: Path) -> None:
    attack = Attack(threshold(role, TOO_LARGE[role]), Word.REFUSED, "root", "larger than the role")
    is_stopped(attack, tmp_path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_attack_06_layouts_that_do_not_hold(name: str, tmp_path: Path) -> None:
    is_stopped(LAYOUTS[name], tmp_path)


def test_attack_06_a_root_older_than_the_pinned_one_changes_nothing(tmp_path: Path) -> None:
    """Version 2 took sam's key out; the bundle brings version 1 back."""
    policy = make_root(expires=FAR_AHEAD).policy
    stay = tuple(m for m in policy.members if m.name != "sam")
    second = root_of(msgspec.structs.replace(policy, members=stay), 2, FAR_AHEAD)
    first = {root_file_name(1): signed_root(make_root(expires=FAR_AHEAD))}
    attack = Attack(
        replace(lasting(added(first)), root=second),
        Word.NOT_ENOUGH, "signers", "1 of the 2 signers needed",
    )  # fmt: skip
    is_stopped(attack, tmp_path)


@pytest.mark.parametrize("name", REPLAYED)
def test_attack_07_a_replayed_link_counts_for_nobody(name: str, tmp_path: Path) -> None:
    is_stopped(REPLAYED[name], tmp_path)


@pytest.mark.parametrize("name", MIXED)
def test_attack_08_parts_of_two_releases(name: str, tmp_path: Path) -> None:
    is_stopped(MIXED[name], tmp_path)


def test_attack_08_artifacts_of_two_releases(tmp_path: Path) -> None:
    older = "demo-0.9.tar.gz"
    release = replace(lasting(), artifacts={**lasting().artifacts, older: sha256_hex(b"old")})
    assert release.decide().verdict.word is Word.REFUSED
    (put(tmp_path, release) / older).write_bytes(b"old")
    code, text = by_program(tmp_path, "--bundle", BUNDLE, NAME, file=older)
    assert (code, f"no artifact of this release is called {older}" in text) == (1, True)


@pytest.mark.parametrize("name", ENVELOPES)
def test_attack_09_envelopes(name: str, tmp_path: Path) -> None:
    started = time.process_time()
    is_stopped(ENVELOPES[name], tmp_path)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("size", [64 * MIB, 1 << 40])
@pytest.mark.parametrize("where", LARGEST)
def test_attack_09_a_large_document(where: str, size: int, tmp_path: Path) -> None:
    put(tmp_path, lasting())
    with (tmp_path / where).open("wb") as file:
        file.truncate(size)
    done = verify(tmp_path, seconds=5, mebibytes=512)
    code = BAD_INPUT if size > LARGEST[where] else Word.REFUSED.exit_code
    assert (done.returncode, b"too large" in done.stderr) == (code, code == BAD_INPUT), done


@pytest.mark.parametrize("name", NAMES)
def test_attack_10_names_in_a_statement(name: str, tmp_path: Path) -> None:
    is_stopped(Attack(named(NAMES[name]), Word.REFUSED, "bytes", "subject"), tmp_path)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\u202eb", "-rf", "dem\u043e-1.0.tar.gz"])
def test_attack_10_names_of_files(name: str, tmp_path: Path) -> None:
    put(tmp_path, lasting())
    shutil.copy(tmp_path / NAME, tmp_path / name)
    code, text = by_program(tmp_path, file=name)
    assert (code, text.startswith("REFUSED")) == (1, True)
    assert ascii(name)[1:-1] in text


@pytest.mark.parametrize("name", TWICE)
def test_attack_11_a_name_with_two_digests(name: str, tmp_path: Path) -> None:
    is_stopped(TWICE[name], tmp_path)


def test_attack_11_a_file_of_the_bundle_twice(tmp_path: Path) -> None:
    bundle = make_bundle("demo", "1.0", lasting().files()).to_bytes()
    twice = bundle.replace(b'"files":{', b'"files":{"linux.fingerprint.json":"e30=",')
    asked = lasting().question()
    decision = decide(Question(asked.root, twice, asked.artifacts, asked.now))
    assert decision.verdict.word is Word.REFUSED
    (put(tmp_path, lasting()) / BUNDLE).write_bytes(twice)
    assert by_program(tmp_path)[0] == 1
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, data in ((one, ARTIFACT), (two, b"other bytes")):
        folder.mkdir()
        (folder / NAME).write_bytes(data)
    words = ("--bundle", BUNDLE, f"one/{NAME}")
    assert by_program(tmp_path, *words, file=f"two/{NAME}")[0] == BAD_INPUT


@pytest.mark.parametrize("role", [NAME, BUNDLE, "root.json"])
@pytest.mark.parametrize("kind", ["link", "fifo", "device"])
def test_attack_12_what_is_no_regular_file(kind: str, role: str, tmp_path: Path) -> None:
    path = put(tmp_path / "download", lasting()) / role
    aside = path.rename(tmp_path / "aside")
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(aside if kind == "link" else "/dev/zero")
    code, text = by_program(tmp_path / "download", "--bundle", BUNDLE)
    assert (code, "not a regular file" in text) == (BAD_INPUT, True), text


@pytest.mark.parametrize("name", OPENPGP)
def test_attack_14_openpgp_signatures_that_do_not_count(name: str, tmp_path: Path) -> None:
    is_stopped(OPENPGP[name], tmp_path)


@pytest.mark.parametrize("name", WEAK_KEYS)
def test_attack_15_weak_keys_are_refused_at_enrolment(name: str, tmp_path: Path) -> None:
    raw = WEAK_KEYS[name]
    with pytest.raises(InputError, match="not an acceptable Ed25519"):
        parse_ed25519(raw, "t")
    words = "not an acceptable Ed25519 public key"
    for role in ("owner", "signer", "builder"):
        said = row(with_weak(role, raw).decide(), "root")
        assert words in said.text
    is_stopped(Attack(with_weak("signer", raw), Word.REFUSED, "root", words), tmp_path)


def test_attack_17_a_file_swapped_after_it_was_verified(tmp_path: Path) -> None:
    """Nothing of a verdict is kept by name, size or time: the next one hashes again."""
    path = put(tmp_path, lasting()) / NAME
    assert by_program(tmp_path)[0] == 0
    about = path.stat()
    path.write_bytes(ARTIFACT[:-1] + b"!")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    code, text = by_program(tmp_path)
    assert (code, "is not the file that was released" in text) == (1, True)


PLANTED = {
    "relsign.toml": "garbage = [",
    "policy.toml": "level = 'basic'",
    "relsign/policy.toml": "level = 'basic'",
    ".relsign/policy.toml": "level = 'basic'",
    ".config/relsign/policy.toml": "level = 'basic'",
    "policies/release.toml": "garbage = [",
    "pyproject.toml": "[tool.relsign]\nlevel = 'basic'\n",
    "sitecustomize.py": "raise SystemExit(0)",
    "msgspec.py": "raise SystemExit(0)",
    "relsign/__init__.py": "raise SystemExit(0)",
    "click/__init__.py": "raise SystemExit(0)",
    ".env": "RELSIGN_LEVEL=basic",
}


def test_attack_21_configuration_planted_in_the_current_folder(tmp_path: Path) -> None:
    folder = put(tmp_path / "download", replace(lasting(), builders=("builder-a",)))
    plain = by_program(folder)
    for name, text in PLANTED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert by_program(folder) == plain
    assert plain[0] == Word.NOT_ENOUGH.exit_code
    # A root or a trust store that lies about is nobody's choice.
    shutil.copytree(folder / "relsign", folder / "trust" / "demo")
    done = run_program("verify", NAME, cwd=folder)
    assert (done.returncode, "no trust root is pinned" in done.stderr) == (NO_ROOT, True)


def test_attack_22_urls_in_metadata_are_never_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        table = json.loads(signed_root(lasting().root))
        evidence = {
            "README": url.encode(),
            "release.tlog-proof": url.encode(),
            "builder-a.intoto.jsonl": f'{{"uri":"{url}"}}\n'.encode(),
            "2.root.json": json.dumps({**table, "url": url}).encode(),
        }
        harmless = {name: evidence[name] for name in sorted(evidence)[1:]}
        for files, code in ((harmless, 0), (evidence, 1)):
            assert by_program(put(tmp_path, lasting(added(files))), "-v")[0] == code
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("name", FORKS)
def test_attack_23_forks_and_look_alikes(name: str, tmp_path: Path) -> None:
    is_stopped(FORKS[name], tmp_path)


def test_attack_23_a_forks_identity_is_shown(tmp_path: Path) -> None:
    """What a person reads first is whose root it is."""
    text = by_program(put(tmp_path, with_root(project="demo-fork")))[1]
    assert "demo-fork, version 1" in text
    assert "(expected demo-fork, got demo)" in text


def test_attack_25_no_attack_ends_in_exit_0() -> None:
    tables = (*BROKEN.values(), *BROKEN_RELEASE_KEY.values(), *BROKEN_FULL.values())
    releases: list[Release] = [release for release, *_ in tables]
    for table in (
        COLLUDING, ONE_KEY, ONE_PERSON, LAYOUTS, REPLAYED, MIXED, ENVELOPES, TWICE, OPENPGP, FORKS,
    ):  # fmt: skip
        releases += [attack.release for attack in table.values()]
    releases.append(replace(lasting(), change_files=lambda _: link_files(EVIL, "builder-a")))
    for release in releases:
        decision = release.decide()
        assert decision.verdict.word.exit_code in {1, 3}
        assert decision.release is None
    assert len(releases) > 150
