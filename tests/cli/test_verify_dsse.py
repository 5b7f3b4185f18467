"""`relsign verify-dsse`: what a person types, what they read, how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from relsign.cli.show import MAX_LINE
from relsign.cli.verify_dsse import verify_dsse
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError, RelsignError
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from tests.crypto.stranger_keys import (
    BUILD_TYPE,
    BUILDER,
    FILE,
    openssh,
    pem,
    provenance,
    reference,
    signer,
    statement,
)

DIGEST = sha256_hex(FILE)
POLICY = f"""\
threshold = 2

[[key]]
name = "a"
operator = "alice"
file = "keys/a.pem"
builder_ids = ["{BUILDER}"]

[[key]]
name = "b"
operator = "bob"
file = "keys/b.pub"
builder_ids = ["{BUILDER}"]

[slsa]
build_type = "{BUILD_TYPE}"

[slsa.external_parameters]
repository = "https://example.org/x.git"
ref = "v1.0"
jobs = 4
debug = false
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder, the current one, with a file, keys, a policy and attestations."""
    monkeypatch.chdir(tmp_path)
    Path("keys").mkdir()
    Path("keys/a.pem").write_bytes(pem("ed1"))
    Path("keys/b.pub").write_bytes(openssh("ec1"))
    Path("keys/c.pem").write_bytes(pem("rsa1"))
    Path("policy.toml").write_text(POLICY)
    Path("x.tar.gz").write_bytes(FILE)
    whole = statement({"x.tar.gz": DIGEST}, provenance(), SLSA_PROVENANCE)
    Path("whole.json").write_bytes(reference(whole, signer("ed1"), signer("ec1")))
    other = reference(statement({"y": "b" * 64}), signer("rsa1"))
    Path("many.intoto.jsonl").write_bytes(other + b"\n" + Path("whole.json").read_bytes() + b"\n")
    return tmp_path


def run(*words: str) -> Result:
    """Run the command; an error of ours ends it as the program's last line would."""
    return CliRunner().invoke(verify_dsse, words, standalone_mode=False)


def code(result: Result) -> int:
    match result.exception:
        case None:
            assert isinstance(result.return_value, int)
            return result.return_value
        case RelsignError() | click.ClickException():
            return result.exception.exit_code
    raise AssertionError(repr(result.exception))


KEYS = ("--key", "keys/a.pem", "--key", "keys/b.pub")
VERIFIED = f"""\
VERIFIED  whole.json
  ✓ envelope     application/vnd.in-toto+json, {{size}} bytes of payload
  ✓ signers      2 of 2 signed (need 2): a b
      a: ed25519, key sha256 {{a}}
      b: ecdsa-sha2-nistp256, key sha256 {{b}}
  ✓ statement    predicate {SLSA_PROVENANCE}
  ✓ subject      x.tar.gz: sha256 {DIGEST}
  ✓ builder      {BUILDER}
  ✓ build        {BUILD_TYPE}, 4 external parameters as expected
  ✓ dependencies 1 inputs, each with a digest
"""


@pytest.mark.usefixtures("folder")
def test_a_good_attestation() -> None:
    done = run("whole.json", "--policy", "policy.toml", "--subject", "x.tar.gz")
    lines = done.stdout.splitlines()
    size = lines[1].split()[3]
    a, b = (lines[n].rpartition(" ")[2] for n in (3, 4))
    assert done.stdout == VERIFIED.format(size=size, a=a, b=b)
    assert (code(done), done.stderr) == (0, "")


WHOLE = ("whole.json", *KEYS)
MANY = "many.intoto.jsonl"
CASES: list[tuple[tuple[str, ...], int, str]] = [
    ((*WHOLE, "--threshold", "2"), 0, "VERIFIED"),
    ((*WHOLE, "--threshold", "2", "--subject", "x.tar.gz"), 0, "VERIFIED"),
    ((*WHOLE, "--threshold", "2", "--key", "keys/c.pem"), 0, "VERIFIED"),
    ((*WHOLE, "--threshold", "3", "--key", "keys/c.pem"), 3, "NOT ENOUGH"),
    (("whole.json", "--key", "keys/c.pem", "--threshold", "1"), 1, "REFUSED"),
    ((*WHOLE, "--threshold", "1", "--subject", "policy.toml"), 1, "REFUSED"),
    ((*WHOLE, "--threshold", "1", "--predicate-type", SLSA_PROVENANCE), 0, "VERIFIED"),
    ((*WHOLE, "--threshold", "1", "--predicate-type", "urn:other"), 1, "REFUSED"),
    ((*WHOLE, "--threshold", "1", "--payload-type", "text/plain"), 1, "REFUSED"),
    ((*WHOLE, "--threshold", "1", "--builder-id", f"{BUILDER}=keys/a.pem"), 0, "VERIFIED"),
    ((*WHOLE, "--threshold", "1", "--builder-id", f"{BUILDER}?x=1=keys/a.pem"), 1, "REFUSED"),
    ((MANY, *KEYS, "--threshold", "2", "--subject", "x.tar.gz"), 0, "VERIFIED"),
    (("policy.toml", *KEYS, "--threshold", "2"), 1, "REFUSED"),
    (("whole.json", "--policy", "policy.toml"), 3, "NOT ENOUGH"),
    ((MANY, "--policy", "policy.toml", "--subject", "x.tar.gz"), 0, "VERIFIED"),
]


@pytest.mark.parametrize(("words", "exit_code", "first"), CASES)
@pytest.mark.usefixtures("folder")
def test_the_word_and_the_exit_code_agree(
    words: tuple[str, ...], exit_code: int, first: str
) -> None:
    done = run(*words)
    assert (code(done), done.stdout.split("  ")[0]) == (exit_code, first)
    document = json.loads(run(*words, "--json").stdout)
    assert document["schema"] == "relsign/dsse-verdict/1"
    assert (document["exit_code"], document["verdict"]) == (exit_code, first)
    assert [row["step"] for row in document["answers"][0]["rows"]] == list(range(1, 8))
    last = done.stdout.splitlines()[-1]
    assert (last in {"Do not use it.", "Wait for what is missing; do not use it yet."}) is (
        exit_code != 0
    )


WRONG: list[tuple[tuple[str, ...], type[RelsignError], str]] = [
    (("whole.json", "--threshold", "1"), InputError, "no key to check with"),
    (("whole.json",), InputError, "no key to check with"),
    (WHOLE, InputError, "no threshold"),
    ((*WHOLE, "--threshold", "0"), InputError, "threshold nobody can meet"),
    ((*WHOLE, "--threshold", "-1"), InputError, "threshold nobody can meet"),
    ((*WHOLE, "--threshold", "3"), InputError, "threshold nobody can meet"),
    ((*WHOLE, "--key", "keys/a.pem", "--threshold", "3"), InputError, "nobody can meet"),
    ((*WHOLE, "--key", "keys/twin.pub", "--threshold", "3"), InputError, "nobody can meet"),
    ((*WHOLE, "--threshold", "1", "--payload-type", ""), InputError, "no payload type"),
    ((*WHOLE, "--threshold", "1", "--builder-id", "urn:x"), InputError, "without its key"),
    ((*WHOLE, "--threshold", "1", "--builder-id", "=keys/a.pem"), InputError, "without its key"),
    ((*WHOLE, "--threshold", "1", "--builder-id", "urn:x=c"), InputError, "without its key"),
    ((*WHOLE, "--policy", "policy.toml"), InputError, "a policy and its parts"),
    (("whole.json", "--policy", "policy.toml", "--threshold", "0"), InputError, "its parts"),
    (("whole.json", "--policy", "policy.toml", "--payload-type", ""), InputError, "its parts"),
    (("whole.json", "--policy", "whole.json"), InputError, "not valid TOML"),
    (("whole.json", "--policy", "absent.toml"), InputError, "no such file"),
    (("absent.json", *KEYS, "--threshold", "1"), InputError, "no such file"),
    (("whole.json", "--key", "absent", "--threshold", "1"), InputError, "no such file"),
    (("whole.json", "--key", "x.tar.gz", "--threshold", "1"), InputError, "not a public key"),
    (("keys", *KEYS, "--threshold", "1"), InputError, "not a regular file"),
    (("link.json", *KEYS, "--threshold", "1"), InputError, "not a regular file"),
    (("fifo.json", *KEYS, "--threshold", "1"), InputError, "not a regular file"),
    (("large.json", *KEYS, "--threshold", "1"), InputError, "too large"),
    (("empty.jsonl", *KEYS, "--threshold", "1"), InputError, "not a list of envelopes"),
    (
        (*WHOLE, "--threshold", "1", "--subject", "x.tar.gz", "--subject", "keys/../x.tar.gz"),
        InputError,
        "two files of the same name",
    ),
]


@pytest.mark.parametrize(("words", "kind", "what"), WRONG)
def test_what_cannot_be_asked_ends_with_a_hint(
    folder: Path, words: tuple[str, ...], kind: type[RelsignError], what: str
) -> None:
    (folder / "keys/twin.pub").write_bytes(openssh("ed1"))
    (folder / "link.json").symlink_to("whole.json")
    (folder / "empty.jsonl").write_bytes(b"\n")
    os.mkfifo(folder / "fifo.json")
    with (folder / "large.json").open("wb") as stream:
        stream.truncate(64 << 20)
    done = run(*words)
    assert isinstance(done.exception, kind)
    assert not isinstance(done.exception, HostError)
    assert what in str(done.exception)
    assert done.stdout == ""


@pytest.mark.usefixtures("folder")
def test_threshold_is_a_number() -> None:
    for word in ("true", "2.0", "", "\u0662x"):
        assert code(run(*WHOLE, "--threshold", word)) == 2


@pytest.mark.usefixtures("folder")
def test_several_files_have_an_answer_each() -> None:
    Path("y").write_bytes(b"y")
    first = reference(statement({"x.tar.gz": DIGEST}), signer("ed1"))
    second = reference(statement({"y": sha256_hex(b"y")}), signer("ed1"))
    Path("two.jsonl").write_bytes(first + b"\n" + second)
    words = ("two.jsonl", *KEYS, "--threshold", "1", "--subject", "x.tar.gz", "--subject", "y")
    done = run(*words)
    assert code(done) == 0
    assert "  line 1: VERIFIED\n" in done.stdout
    assert "  line 2: VERIFIED\n" in done.stdout
    Path("y").write_bytes(b"changed")
    assert code(run(*words)) == 1


@pytest.mark.usefixtures("folder")
def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\u202e\nVERIFIED" + "x" * 3000
    Path("evil\n\x1b.json").write_bytes(
        reference(statement({evil: DIGEST}, kind=f"urn:{evil}"), signer("ed1"))
    )
    words = ("evil\n\x1b.json", *KEYS, "--threshold", "1", "--subject", "x.tar.gz")
    for done in (run(*words), run(*words, "--json")):
        assert code(done) == 0
        text = done.stdout.replace("\n", "")
        assert all(c.isprintable() for c in text)
        assert all(len(line) < 2 * MAX_LINE for line in done.stdout.splitlines())
        assert not any(line.startswith("VERIFIEDx") for line in done.stdout.splitlines())


def test_nothing_is_written_and_the_current_folder_configures_nothing(folder: Path) -> None:
    Path("relsign.toml").write_text("junk")
    before = sorted(folder.rglob("*"))
    assert code(run("whole.json", "--policy", "policy.toml", "--subject", "x.tar.gz")) == 0
    assert sorted(folder.rglob("*")) == before


def test_keys_are_found_beside_the_policy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "keys")
    words = ("../whole.json", "--policy", "../policy.toml", "--subject", "../x.tar.gz")
    assert code(run(*words)) == 0
