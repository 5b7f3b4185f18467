"""One release of a group, and every stock tool on it: each says yes, and no after one byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.crypto.git_tag import object_id, parse_signed_tag
from relsign.formats.tag_message import parse_tag_message
from tests.crypto.make_tools import git_environment
from tests.groups import GROUP, Shared, make_shared
from tests.verify.releases import NAME

IN_TOTO_VERIFY = Path(sys.executable).with_name("in-toto-verify")
SUMS = "SHA256SUMS"
LAYOUT = "in-toto/release.layout"
SOURCE = """\
[[source]]
kind = "git"
name = "demo"
url = "https://example.invalid/demo.git"
commit = "{commit}"
sha256 =\
"""


@dataclass(frozen=True)
class Download:
    """A published release with its keys, a home for gpg, and a git repository."""

    folder: Path

    @property
    def release(self) -> Path:
        return self.folder / "1.0"

    def key(self, ending: str) -> Path:
        return self.folder / "keys" / f"{GROUP}.{ending}"

    def run(self, *words: object, stdin: bytes = b"") -> int:
        """Run a tool beside the release's files; return its exit code."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.release,
            input=stdin,
            capture_output=True,
            check=False,
            env=git_environment(self.folder / "gnupg"),
        )
        return done.returncode

    def read(self, name: str) -> bytes:
        return (self.release / name).read_bytes()


def make_repository(folder: Path) -> str:
    """Make a git repository with one commit; return its name."""
    environment = git_environment(folder)
    for words in (
        ("init", "-q", str(folder)),
        ("-C", str(folder), "commit", "-q", "--allow-empty", "-m", "1.0"),
    ):
        subprocess.run(["git", *words], check=True, env=environment)
    head = ("git", "-C", str(folder), "rev-parse", "HEAD")
    return subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()


def use_git(shared: Shared, commit: str) -> None:
    """Let the recipe take its source from a commit."""
    recipe = shared.project.workspace.recipe_file
    text = recipe.read_text()
    start, end = text.index("[[source]]"), text.index(' "1111')
    recipe.write_text(text[:start] + SOURCE.format(commit=commit) + text[end:])
    shared.project.compile()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a release that two of three signed, as the world sees it."""
    folder = tmp_path_factory.mktemp("tools")
    shared = make_shared(folder / "made")
    use_git(shared, make_repository(folder / "repository"))
    shared.build()
    shared.sign("sam", "sven", "sam", "sven")
    assert shared.project.publish() == 0
    shutil.copytree(shared.project.published, folder / "1.0")
    shutil.copytree(shared.project.site / "demo" / "keys", folder / "keys")
    shutil.rmtree(folder / "made")
    (folder / "gnupg").mkdir(mode=0o700)
    download = Download(folder)
    assert download.run("gpg", "--batch", "--import", download.key("asc")) == 0
    assert download.run("gpg", "-o", folder / "ring.gpg", "--dearmor", download.key("asc")) == 0
    subprocess.run(["gpgconf", "--homedir", folder / "gnupg", "--kill", "all"], check=True)
    return folder


@pytest.fixture
def download(published: Path, tmp_path: Path) -> Download:
    """Return a copy to be changed."""
    return Download(shutil.copytree(published, tmp_path / "d", copy_function=shutil.copy2))


def gpg(d: Download) -> int:
    return d.run("gpg", "--batch", "--verify", f"{SUMS}.asc", SUMS)


def gpgv(d: Download) -> int:
    return d.run("gpgv", "--keyring", d.folder / "ring.gpg", f"{SUMS}.asc", SUMS)


def sqv(d: Download) -> int:
    return d.run("sqv", "--keyring", d.key("asc"), f"{SUMS}.asc", SUMS)


def gpg_cleartext(d: Download) -> int:
    return d.run("gpg", "--batch", "--verify", f"{SUMS}.clear.asc")


def gpgv_cleartext(d: Download) -> int:
    return d.run("gpgv", "--keyring", d.folder / "ring.gpg", f"{SUMS}.clear.asc")


def minisign(d: Download) -> int:
    return d.run("minisign", "-V", "-p", d.key("minisign.pub"), "-m", SUMS)


def signify(d: Download) -> int:
    words = ("-p", d.key("signify.pub"), "-m", SUMS, "-x", f"{SUMS}.signify")
    return d.run("signify-openbsd", "-V", *words)


def ssh_keygen(d: Download) -> int:
    signers = d.folder / "keys" / "allowed_signers"
    words = ("-n", "file", "-f", signers, "-I", GROUP, "-s", f"{SUMS}.sig")
    return d.run("ssh-keygen", "-Y", "verify", *words, stdin=d.read(SUMS))


def openssl(d: Download) -> int:
    words = ("-pubin", "-inkey", d.key("pem"), "-in", SUMS, "-sigfile", f"{SUMS}.ed25519")
    return d.run("openssl", "pkeyutl", "-verify", "-rawin", *words)


def git(d: Download) -> int:
    """Install the tag as `relsign sign` says, and let git ask gpg."""
    here = ("git", "-C", d.folder / "repository")
    data = d.read(f"{SUMS}.tag")
    assert d.run(*here, "hash-object", "-t", "tag", "-w", "--stdin", stdin=data) == 0
    assert d.run(*here, "update-ref", "refs/tags/v1.0", object_id(data)) == 0
    return d.run(*here, "verify-tag", "v1.0")


def in_toto(d: Download) -> int:
    keys = [d.folder / "keys" / f"{name}.pem" for name in ("olga", "oona")]
    words = ("--layout", LAYOUT, "--link-dir", "in-toto", "--verification-keys", *keys)
    return d.run(IN_TOTO_VERIFY, *words)


def sha256sum(d: Download) -> int:
    return d.run("sha256sum", "--strict", "-c", SUMS)


def last_line(data: bytes) -> int:
    """Return a place in the last line of base64 before a checksum and the end."""
    return data.rindex(b"\n=") - 8


def before_end(data: bytes) -> int:
    return data.rindex(b"\n-----END") - 8


def second_line(data: bytes) -> int:
    """Return a place behind the key number, which is only a label."""
    return data.index(b"\n") + 40


def comment(data: bytes) -> int:
    return data.index(b"trusted comment: demo") + len("trusted comment: ")


def digest(data: bytes) -> int:
    """Return a place in the digest of the artifact."""
    return data.index(b"  " + NAME.encode()) - 10


def named(data: bytes) -> int:
    """Return a place in the digest of the artifact list that a tag names."""
    return data.index(b"SHA256SUMS sha256 ") + 30


def commit(data: bytes) -> int:
    return data.index(b"object ") + 12


def anywhere(data: bytes) -> int:
    return len(data) // 2


def signature(data: bytes) -> int:
    return data.index(b'"sig":"') + 30


def payload(data: bytes) -> int:
    return data.index(b'"payload":"') + 60


Tool = Callable[[Download], int]
TOOLS: list[Tool] = [
    gpg, gpgv, sqv, gpg_cleartext, gpgv_cleartext, minisign, signify, ssh_keygen, openssl, git,
    in_toto, sha256sum,
]  # fmt: skip
CHANGES: list[tuple[Tool, str, Callable[[bytes], int]]] = [
    (gpg, SUMS, digest),
    (gpg, f"{SUMS}.asc", last_line),
    (gpgv, SUMS, digest),
    (gpgv, f"{SUMS}.asc", last_line),
    (sqv, SUMS, digest),
    (sqv, f"{SUMS}.asc", last_line),
    (gpg_cleartext, f"{SUMS}.clear.asc", digest),
    (gpg_cleartext, f"{SUMS}.clear.asc", last_line),
    (gpgv_cleartext, f"{SUMS}.clear.asc", digest),
    (gpgv_cleartext, f"{SUMS}.clear.asc", last_line),
    (minisign, SUMS, digest),
    (minisign, f"{SUMS}.minisig", second_line),
    (minisign, f"{SUMS}.minisig", comment),
    (signify, SUMS, digest),
    (signify, f"{SUMS}.signify", second_line),
    (ssh_keygen, SUMS, digest),
    (ssh_keygen, f"{SUMS}.sig", before_end),
    (openssl, SUMS, digest),
    (openssl, f"{SUMS}.ed25519", anywhere),
    (git, f"{SUMS}.tag", named),
    (git, f"{SUMS}.tag", commit),
    (git, f"{SUMS}.tag", last_line),
    (in_toto, NAME, anywhere),
    (in_toto, LAYOUT, payload),
    (in_toto, LAYOUT, signature),
    (sha256sum, SUMS, digest),
    (sha256sum, NAME, anywhere),
]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.__name__)
def test_every_stock_tool_accepts_what_the_group_signed(tool: Tool, download: Download) -> None:
    assert tool(download) == 0


@pytest.mark.parametrize(("tool", "name", "place"), CHANGES)
def test_every_stock_tool_refuses_one_other_byte(
    tool: Tool, name: str, place: Callable[[bytes], int], download: Download
) -> None:
    assert tool(download) == 0
    data = bytearray(download.read(name))
    at = place(bytes(data))
    # A digit stays a digit, and a character of base64 one too: the form is not what is refused.
    data[at] = ord("3") if data[at] != ord("3") else ord("4")
    (download.release / name).write_bytes(data)
    assert tool(download) != 0


def test_every_tool_has_a_byte_of_its_own() -> None:
    assert {tool for tool, _name, _place in CHANGES} == set(TOOLS)


def test_the_tag_names_commit_release_and_files(download: Download) -> None:
    tag, _payload, _armoured = parse_signed_tag(download.read(f"{SUMS}.tag"), "tag")
    head = ("git", "-C", str(download.folder / "repository"), "rev-parse", "HEAD")
    done = subprocess.run(head, check=True, capture_output=True, text=True)
    assert tag.commit == done.stdout.strip()
    assert (tag.name, tag.tagger) == ("v1.0", "Demo releases <release@demo.invalid>")
    said = parse_tag_message(tag.message, "tag")
    assert (said.project, said.version) == ("demo", "1.0")
