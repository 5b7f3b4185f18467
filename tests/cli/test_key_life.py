"""What becomes of a release key: it is renewed, it is revoked."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from relsign.crypto.openpgp import parse_certificate
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.rules.expiry import find_expiring
from relsign.sign.rules.root import current_root
from relsign.system.clock import now_utc
from tests.groups import GROUP, Shared, copy_shared, make_shared
from tests.projects import PASSPHRASE, Project

YEARS = timedelta(days=1000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    make_shared(folder)
    return folder


@pytest.fixture
def shared(made: Path, tmp_path: Path) -> Shared:
    return copy_shared(made, tmp_path / "w")


@pytest.fixture
def gpg_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def gpg(home: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["gpg", "--homedir", home, "--batch", "--status-fd", "1", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def import_key(home: Path, shared: Shared) -> None:
    assert gpg(home, "--import", shared.folder / "certificate.pgp").returncode == 0


# --- revocation ----------------------------------------------------------------------------------


def test_a_participant_alone_revokes_the_group_s_key_for_gpg(
    shared: Shared, gpg_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    assert shared.project.publish() == 0
    sums = shared.project.published / "SHA256SUMS"
    import_key(gpg_home, shared)
    good = gpg(gpg_home, "--verify", f"{sums}.asc", sums)
    assert "GOODSIG" in good.stdout
    file = tmp_path / "gone.asc"
    capsys.readouterr()
    assert shared.run_as("sara", "key", "revoke", GROUP, "--to", str(file), "--yes") == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith("gone.asc")
    assert "cannot be taken back" in said.err
    assert f"relsign root remove {GROUP} --revoke" in said.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # A second time is the same file, not another one.
    assert shared.run_as("sara", "key", "revoke", GROUP, "--to", str(file), "--yes") == 0
    assert gpg(gpg_home, "--import", file).returncode == 0
    after = gpg(gpg_home, "--verify", f"{sums}.asc", sums)
    assert "REVKEYSIG" in after.stdout
    assert "GOODSIG" not in after.stdout


def test_nothing_is_revoked_without_a_yes(shared: Shared, tmp_path: Path) -> None:
    file = tmp_path / "gone.asc"
    assert shared.run_as("sam", "key", "revoke", GROUP, "--to", str(file)) == 2
    assert not file.exists()


def test_another_file_is_not_overwritten(shared: Shared, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("dear")
    assert shared.run_as("sam", "key", "revoke", GROUP, "--to", str(file), "--yes") == 2
    assert file.read_text() == "dear"


def _lose_vault(shared: Shared) -> None:
    shutil.rmtree(shared.homes["sam"] / "sam" / "vault")


def _lose_certificate(shared: Shared) -> None:
    (shared.folder / "certificate.pgp").unlink()


def _change_key(shared: Shared) -> None:
    # The group's document of another key finds nothing in the vault.
    path = shared.folder / "group.json"
    text = path.read_text()
    start = text.index('"key":"') + 7
    path.write_text(text[:start] + "ab" * 32 + text[start + 64 :])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_lose_vault, "keeps no revocation"),
        (_lose_certificate, "certificate is not there"),
        (_change_key, "keeps no revocation"),
    ],
)
def test_what_is_missing_is_said(
    shared: Shared,
    spoil: object,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(spoil)
    spoil(shared)
    file = tmp_path / "gone.asc"
    assert shared.run_as("sam", "key", "revoke", GROUP, "--to", str(file), "--yes") == 2
    assert words in capsys.readouterr().err
    assert not file.exists()


def test_a_person_s_own_openpgp_key_is_revoked(
    keys: Path, project: Project, tmp_path: Path, gpg_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del keys
    store = KeyStore(tmp_path / "own")
    wanted = wanted_member("zoe", "zoe", "acme", ("signer",), "openpgp")
    store.create(wanted, "Zoe <zoe@acme.invalid>", PASSPHRASE, None)
    file = tmp_path / "zoe.asc"
    words = ("key", "revoke", "zoe", "--keys", str(store.folder), "--to", str(file), "--yes")
    assert project.run(*words) == 0
    assert "openpgp-revocs.d" in capsys.readouterr().err
    member = store.folder / "zoe" / "gnupg"
    exported = subprocess.run(
        ["gpg", "--homedir", member, "--export"], capture_output=True, check=True
    ).stdout
    (tmp_path / "zoe.pgp").write_bytes(exported)
    assert gpg(gpg_home, "--import", tmp_path / "zoe.pgp").returncode == 0
    assert gpg(gpg_home, "--import", file).returncode == 0
    assert "[revoked" in gpg(gpg_home, "--list-keys").stdout
    (kept,) = member.glob("openpgp-revocs.d/*.rev")
    kept.unlink()
    assert project.run(*words) == 2
    assert "not there" in capsys.readouterr().err


def test_a_key_of_another_kind_is_revoked_in_the_root(
    shared: Shared, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = str(shared.project.keys)
    assert shared.project.run("key", "revoke", "sam", "--keys", keys, "--yes") == 2
    assert "relsign root remove sam --revoke" in capsys.readouterr().err


# --- renewal -------------------------------------------------------------------------------------


def renewed_until(shared: Shared) -> timedelta:
    data = (shared.folder / "certificate.pgp").read_bytes()
    expires = parse_certificate(data, "certificate").expires_at
    assert expires is not None
    return expires - now_utc()


def test_two_of_three_renew_the_certificate(
    shared: Shared, gpg_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_key(gpg_home, shared)
    before = (shared.folder / "certificate.pgp").read_bytes()
    assert renewed_until(shared) < YEARS
    renew = ("ceremony", "renew", GROUP, "--yes")
    assert shared.run_as("sara", *renew, "--days", "1200") == 0
    assert "is to end on" in capsys.readouterr().err
    assert shared.run_as("sven", *renew) == 0
    assert (shared.folder / "certificate.pgp").read_bytes() == before
    assert shared.run_as("sara", *renew, "--days", "1200") == 0
    assert shared.run_as("sven", *renew) == 0
    assert renewed_until(shared) > YEARS
    said = capsys.readouterr()
    assert "is renewed until" in said.err
    assert said.out.splitlines()[-1].endswith("member.toml")
    # Whoever comes late finds it done and is asked for no passphrase.
    assert shared.project.run("ceremony", "renew", GROUP, "--as", "sam") == 0
    import_key(gpg_home, shared)
    shared.enrol()
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    assert shared.project.publish() == 0
    sums = shared.project.published / "SHA256SUMS"
    assert "GOODSIG" in gpg(gpg_home, "--verify", f"{sums}.asc", sums).stdout


def test_one_alone_renews_nothing_and_nobody_agrees_unasked(shared: Shared) -> None:
    words = ("ceremony", "renew", GROUP, "--days", "1200")
    assert shared.run_as("sara", *words) == 2
    for _visit in range(3):
        assert shared.run_as("sara", *words, "--yes") == 0
    assert renewed_until(shared) < YEARS
    # Who agreed once is not asked again; who did not is.
    assert shared.run_as("sara", *words) == 0
    assert shared.run_as("sven", "ceremony", "renew", GROUP) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"project":"demo"', '"project":"dame"', "another certificate"),
        ('"certificate":"', '"certificate":"0', "64 digits"),
        ('"at":"2', '"at":"3', "expires is not after at"),
    ],
)
def test_a_renewal_that_was_changed_is_refused(
    shared: Shared, old: str, new: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shared.run_as("sara", "ceremony", "renew", GROUP, "--days", "1200", "--yes") == 0
    path = shared.folder / "renewal.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    capsys.readouterr()
    assert shared.run_as("sven", "ceremony", "renew", GROUP, "--yes") == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("1200", "1300", "another renewal"),
        ("5", None, "does not end later"),
        (None, None, "propose one with --days"),
    ],
)
def test_renewals_that_make_no_sense(
    shared: Shared,
    first: str | None,
    second: str | None,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    renew = ("ceremony", "renew", GROUP, "--yes")
    if first is not None:
        shared.run_as("sara", *renew, "--days", first)
    more = () if second is None else ("--days", second)
    assert shared.run_as("sven", *renew, *more) == 2
    assert words in capsys.readouterr().err


def test_the_expiry_warning_names_the_command(shared: Shared) -> None:
    root = current_root(shared.project.workspace, now_utc())
    (found,) = [
        each
        for each in find_expiring(root, None, now_utc() + timedelta(days=700))
        if each.what == "certificate"
    ]
    assert f"relsign ceremony renew {GROUP}" in found.hint
    assert os.sep not in found.name
