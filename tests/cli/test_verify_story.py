"""The story of a person with a download: what they type, what they read, how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.formats.root import RootFile, parse_root
from relsign.system.clock import now_utc
from tests.projects import PROGRAM, Project, run_program
from tests.verify.releases import NAME, make_root, signed_root

VERIFIED = """\
VERIFIED  demo-1.0.tar.gz
  ✓ root        demo, version 1, valid until {root}
  ✓ bytes       sha256 {digest}
  ✓ signers     2 of 3 signed (need 2): sam sven
  ✓ layout      2 owners signed, valid until {layout}: olga oona
  ✓ builders    2 of 3 built the same bytes (need 2, 2 organisations): builder-a builder-b
  ✓ fingerprint 1 bound
  ✓ revocation  1.0 is not revoked; follows nothing: the first release
"""


@pytest.fixture
def download(project: Project, tmp_path: Path) -> Path:
    """Return a folder with what a person downloads: artifact, bundle, pinned root."""
    assert project.signed().publish() == 0
    folder = tmp_path / "download"
    folder.mkdir()
    for path in (project.published / NAME, project.published / "demo-1.0.relsign"):
        shutil.copy(path, folder)
    shutil.copy(project.root_file, folder)
    return folder


def verify(download: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_program("verify", *words, cwd=download)


def test_a_good_download(download: Path) -> None:
    done = verify(download, "--root", "root.json", NAME)
    expires = parse_root((download / "root.json").read_bytes()).signed.expires
    digest = subprocess.run(
        ["sha256sum", NAME], cwd=download, capture_output=True, text=True, check=True
    ).stdout.split()[0]
    layout = done.stdout.split("owners signed, valid until ")[1][:10]
    assert done.stdout == VERIFIED.format(
        root=expires.date().isoformat(), digest=digest, layout=layout
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_quiet_says_it_by_exit_code_alone(download: Path) -> None:
    done = verify(download, "-q", "--root", "root.json", NAME)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verbose_shows_every_step(download: Path) -> None:
    done = verify(download, "-v", "--root", "root.json", NAME)
    assert "- log " in done.stdout
    assert "- fresh " in done.stdout


def test_json_for_scripts(download: Path) -> None:
    document = json.loads(verify(download, "--json", "--root", "root.json", NAME).stdout)
    assert document["schema"] == "relsign/verdict/1"
    assert document["verdict"] == "VERIFIED"
    assert document["level"] == "standard"
    digest = sha256_hex((download / NAME).read_bytes())
    assert document["files"] == [{"name": NAME, "sha256": digest}]
    assert [row["step"] for row in document["rows"]] == list(range(1, 10))


def test_a_flipped_byte(download: Path) -> None:
    data = bytearray((download / NAME).read_bytes())
    data[3] ^= 1
    (download / NAME).write_bytes(bytes(data))
    done = verify(download, "--root", "root.json", NAME)
    assert done.returncode == 1
    assert done.stdout.startswith(f"REFUSED  {NAME}\n")
    assert f"✗ bytes       refused: {NAME} is not the file that was released" in done.stdout
    assert "hint: do not use it" in done.stdout


def test_no_bundle_beside_the_file(download: Path) -> None:
    (download / "demo-1.0.relsign").unlink()
    done = verify(download, "--root", "root.json", NAME)
    assert done.returncode == 3
    assert done.stdout.startswith("NOT ENOUGH")
    assert "--bundle" in done.stdout


def test_two_bundles_beside_the_file(download: Path) -> None:
    shutil.copy(download / "demo-1.0.relsign", download / "other.relsign")
    done = verify(download, "--root", "root.json", NAME)
    assert done.returncode == 2
    assert "hint: name one with --bundle" in done.stderr
    chosen = verify(download, "--root", "root.json", NAME, "--bundle", "demo-1.0.relsign")
    assert chosen.returncode == 0


def test_no_root_is_pinned(download: Path) -> None:
    nothing = "--trust", str(download / "trust")
    for words, hint in (
        (nothing, "hint: pin the project's root with `relsign trust add`"),
        (("--root", "absent.json"), "hint: pin the project's root.json with --root"),
    ):
        done = verify(download, NAME, *words)
        assert done.returncode == 4
        assert hint in done.stderr
        assert done.stdout == ""
    assert not (download / "trust").exists()


def test_a_root_of_another_project(download: Path) -> None:
    expires = now_utc().replace(microsecond=0) + timedelta(days=1)
    root = signed_root(make_root(project="evil", expires=expires))
    (download / "root.json").write_bytes(root)
    done = verify(download, "--root", "root.json", NAME)
    assert done.returncode == 1
    assert "✓ root        evil, version 1" in done.stdout
    (row,) = (line for line in done.stdout.splitlines() if "✗ bytes" in line)
    assert "a release of another project" in row


def test_a_root_that_was_changed_is_no_root(download: Path) -> None:
    root = download / "root.json"
    signed = root.read_bytes()
    changed = signed.replace(b'"signers":2', b'"signers":1')
    for data, code, words in (
        (changed, 1, "does not verify"),
        (RootFile(signatures=(), signed=parse_root(signed).signed).to_bytes(), 3, "signed by 0 of"),
    ):
        assert data != signed
        root.write_bytes(data)
        done = verify(download, "--root", "root.json", NAME)
        assert done.returncode == code
        assert words in done.stdout.splitlines()[1]


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "device"])
def test_odd_files_are_refused_without_hanging(download: Path, kind: str) -> None:
    path = download / "odd"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to(NAME)
        case "folder":
            path.mkdir()
        case _:
            path = Path("/dev/null")
    bundle = "demo-1.0.relsign"
    done = verify(download, "--root", "root.json", "--bundle", bundle, str(path))
    # A folder stands for the files in it, and this one has none.
    assert done.returncode == (3 if kind == "folder" else 2)
    assert ("no such file" if kind == "folder" else "not a regular file") in done.stderr
    good = verify(download, "--root", "root.json", "--bundle", str(path), NAME)
    assert good.returncode == 2
    rooted = verify(download, "--root", str(path), NAME)
    assert rooted.returncode == 2


def test_names_are_shown_escaped(download: Path) -> None:
    odd = "evil\x1b[2J\n\u202etxt"
    shutil.copy(download / NAME, download / odd)
    done = verify(download, "--root", "root.json", odd)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert len(done.stdout.splitlines()) < 15


def test_configuration_planted_in_the_current_folder_is_ignored(download: Path) -> None:
    (download / "relsign.toml").write_text("garbage")
    (download / "relsign.py").write_text("raise SystemExit(0)")
    (download / "msgspec.py").write_text("raise SystemExit(0)")
    done = subprocess.run(
        [PROGRAM, "verify", NAME], cwd=download, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4


def test_verify_writes_nothing_and_needs_no_writable_folder(download: Path) -> None:
    before = sorted(download.iterdir())
    assert verify(download, "--root", "root.json", NAME).returncode == 0
    assert sorted(download.iterdir()) == before


def test_a_closed_pipe_is_no_reason_to_say_verified(download: Path) -> None:
    """A reader that goes away must not turn a refusal into success."""
    (download / NAME).write_bytes(b"other")
    command = f"{PROGRAM} verify --root root.json {NAME} >&-; echo $?"
    done = subprocess.run(
        ["sh", "-c", command], cwd=download, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() != "0"
    assert "Traceback" not in done.stderr


def test_verify_loads_no_engine_no_gpg_and_no_reference(download: Path) -> None:
    script = (
        "import sys\n"
        "from relsign.cli.main import execute\n"
        f"code = execute(['verify', '-q', '--root', 'root.json', {NAME!r}])\n"
        "assert code == 0, code\n"
        "heavy = {'docker', 'gnupg', 'in_toto', 'securesystemslib', 'requests'}\n"
        "heavy |= {'rich', 'tomlkit'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=download, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done


def test_a_folder_stands_for_all_files_of_a_release(download: Path) -> None:
    done = verify(download, "--root", "root.json", ".")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "✓ bytes" in done.stdout
    (download / NAME).rename(download / "other")
    done = verify(download, "--root", "root.json", ".")
    assert (done.returncode, NAME in done.stderr) == (3, True), done
    (download / NAME).write_bytes(b"other bytes")
    assert verify(download, "--root", "root.json", ".").returncode == 1


def test_a_folder_without_a_release_says_what_is_missing(download: Path) -> None:
    (download / "empty").mkdir()
    done = verify(download, "--root", "root.json", "empty")
    assert (done.returncode, "a folder without a bundle" in done.stderr) == (2, True), done
    (download / "empty" / "demo-1.0.relsign").write_bytes(b"{}")
    assert verify(download, "--root", "root.json", "empty").returncode == 1
