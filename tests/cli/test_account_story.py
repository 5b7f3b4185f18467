"""Who signed a release with the group's key, asked later and after somebody tampered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from relsign.verify.root import verify_root
from tests.groups import GROUP, Shared, copy_shared, make_shared

VERIFY = ("ceremony", "verify", GROUP, "--release")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a release that sam and sven signed."""
    folder = tmp_path_factory.mktemp("account")
    shared = make_shared(folder)
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    return folder


@pytest.fixture
def shared(made: Path, tmp_path: Path) -> Shared:
    return copy_shared(made, tmp_path / "w")


def messages(shared: Shared) -> list[Path]:
    return sorted(shared.project.release.ceremony.rglob("*.msg"))


def test_who_signed(shared: Shared, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert shared.project.run(*VERIFY) == 0
    said = capsys.readouterr()
    assert said.out == "VERIFIED\n"
    for line in (
        "committed: sam, sven",
        "sam, sven: all shares hold (attempt 1)",
        "7 signatures here are the ones they made",
        "each signed the statement under an own name too: sam, sven",
    ):
        assert f"✓ {line}" in said.err
    assert "sara:" not in said.err.replace("sam, sara, sven", "")


def test_who_signed_is_known_after_the_shares_changed(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("ceremony", "reshare", GROUP, "--dealer", "sam", "--dealer", "sara")
    assert shared.run_as("sara", *words) == 0
    for _round in range(4):
        shared.join("sam", "sara", "sven")
    assert "destroyed share-" in capsys.readouterr().err
    assert shared.project.run(*VERIFY) == 0
    assert "✓ sam, sven: all shares hold" in capsys.readouterr().err


def remove_a_message(shared: Shared) -> None:
    messages(shared)[0].unlink()


def tamper_with_a_message(shared: Shared) -> None:
    path = messages(shared)[-1]
    path.write_bytes(path.read_bytes().replace(b'"payload":"e', b'"payload":"f'))


def remove_all_messages(shared: Shared) -> None:
    shutil.rmtree(shared.project.release.ceremony)


def put_a_link_for_the_messages(shared: Shared) -> None:
    folder = shared.project.release.ceremony
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def change_a_signature(shared: Shared) -> None:
    path = shared.project.release.signatures / f"{GROUP}.ed25519"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)


def sign_again_and_keep_one_old_signature(shared: Shared) -> None:
    """Let sam and sven sign once more, and mix what came of it with what was."""
    release = shared.project.release
    old = (release.signatures / f"{GROUP}.sig").read_bytes()
    shutil.rmtree(release.ceremony)
    for name in ("sam", "sven"):
        shutil.rmtree(shared.homes[name] / name / "heard")
        shutil.rmtree(shared.homes[name] / name / "nonces")
    drop_signature(shared, GROUP)
    shared.sign("sam", "sven", "sam", "sven")
    assert shared.project.run(*VERIFY) == 0
    assert (release.signatures / f"{GROUP}.sig").read_bytes() != old
    (release.signatures / f"{GROUP}.sig").write_bytes(old)


def drop_signature(shared: Shared, name: str) -> None:
    """Take the signature of a person or group out of the statement."""
    root = verify_root(shared.project.workspace.root_file.read_bytes(), datetime.now(UTC))
    (keyid,) = (party.keyid for party in root.parties if party.name == name)
    statement = shared.project.release.statement_file
    envelope = msgspec.json.decode(statement.read_bytes())
    kept = [each for each in envelope["signatures"] if each["keyid"] != keyid]
    assert len(kept) == 2
    statement.write_bytes(msgspec.json.encode({**envelope, "signatures": kept}))


def remove_a_signature(shared: Shared) -> None:
    (shared.project.release.signatures / f"{GROUP}.minisig").unlink()


def remove_sams_own_signature(shared: Shared) -> None:
    """Leave the group's signature, and sven's: sam took part and did not say so."""
    drop_signature(shared, "sam")


def remove_the_statement(shared: Shared) -> None:
    shared.project.release.statement_file.unlink()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (remove_a_message, 3, "messages of the signing are missing"),
        (tamper_with_a_message, 3, "cut off or changed"),
        (remove_all_messages, 3, "no messages of this signing are kept here"),
        (put_a_link_for_the_messages, 2, "not a folder"),
        (change_a_signature, 1, "nobody of this session made this signature"),
        (sign_again_and_keep_one_old_signature, 1, "nobody of this session made this signature"),
        (remove_a_signature, 3, "the group's signature is not there"),
        (remove_sams_own_signature, 3, "has a part in the group's signature, and no own one"),
        (remove_the_statement, 3, "nobody signed this release yet"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_not_as_it_was(
    shared: Shared,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Shared], None],
    code: int,
    said: str,
) -> None:
    change(shared)
    capsys.readouterr()
    assert shared.project.run(*VERIFY) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_foreign_messages_are_named_and_change_nothing(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = shared.project.release.ceremony.iterdir()
    (folder / "hello.msg").write_text("junk")
    foreign = next(iter((shared.folder / "messages").rglob("*.msg")))
    shutil.copy2(foreign, folder / foreign.name)
    capsys.readouterr()
    assert shared.project.run(*VERIFY) == 0
    said = capsys.readouterr().err
    assert "ignored: hello.msg: not the name of a message" in said
    assert f"ignored: message {foreign.name[:8]}" in said
    assert "✓ sam, sven: all shares hold" in said


def test_a_group_that_is_no_release_key_has_no_account(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the group in the root nobody can say whose signatures these should be."""
    project = shared.project
    project.remove_member(GROUP)
    project.new_root()
    capsys.readouterr()
    assert project.run(*VERIFY) == 2
    assert "no release key of that name" in capsys.readouterr().err
