"""What a link says of its builder's machine, and that stock in-toto does not mind."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.commitment import commitment_file_name
from relsign.formats.envelope import parse_envelope
from relsign.formats.link import Byproducts, Host, link_file_name
from relsign.publish.reference import PROGRAM
from relsign.publish.signatures import ed25519_pem
from relsign.sign.evidence.links import BuildTimes, describe_host, make_links, sign_evidence
from relsign.system.files import write_whole
from tests.verify.releases import (
    ARTIFACT,
    NAME,
    NOW,
    Release,
    make_root,
    parties,
    sealed,
    secret,
    sign_by,
)

DOCKER = Host(engine="docker", engine_version="20.10.24", platform="x86_64",
              environment="debian-12")  # fmt: skip

# --- what a link says of its machine -----------------------------------------------------------

MACHINES: dict[str, tuple[tuple[str, str, str, str], Host | None]] = {
    "docker": (("Engine", "20.10.24+dfsg1", "x86_64", "debian-12"), Host(
        engine="docker", engine_version="20.10.24+dfsg1", platform="x86_64",
        environment="debian-12")),
    "podman": (("Podman Engine", "4.3.1", "aarch64", "fedora-42"), Host(
        engine="podman", engine_version="4.3.1", platform="aarch64", environment="fedora-42")),
    "another": (("Some Engine (C)", "", "riscv64", "arch"), Host(
        engine="some-engine-c", platform="riscv64", environment="arch")),
    "a strange version": (("Engine", "1.0\n/home/ann", "x86_64", "debian-12"), Host(
        engine="docker", platform="x86_64", environment="debian-12")),
    "capitals and blanks": (("ENGINE", "1", "X86_64", "Debian 12/\u202e"), Host(
        engine="docker", engine_version="1", platform="x86_64", environment="debian-12")),
    "a very long name": (("e" * 200, "1", "x86_64", "debian-12"), Host(
        engine="e" * 64, engine_version="1", platform="x86_64", environment="debian-12")),
    "nothing that could be said": (("\u202e", "1", "x86_64", "debian-12"), None),
    "no platform": (("Engine", "1", "", "debian-12"), None),
}  # fmt: skip


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_described_in_small_words(name: str) -> None:
    said, expected = MACHINES[name]
    host = describe_host(*said)
    assert host == expected
    if host is not None:
        assert msgspec.json.decode(msgspec.json.encode(host), type=Host) == host


# --- the reference verifier --------------------------------------------------------------------


def reference_says(staged: Path) -> subprocess.CompletedProcess[str]:
    """Run stock in-toto-verify on links that say more than it knows."""
    evidence = staged / "in-toto"
    key = evidence / "olga.pem"
    key.write_bytes(ed25519_pem(secret("olga").verify_key.encode()))
    return subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, "--verbose", "--layout", evidence / LAYOUT_FILE,
         "--link-dir", evidence, "--verification-keys", key],
        cwd=staged, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_stock_in_toto_accepts_links_with_these_byproducts(tmp_path: Path) -> None:
    write_whole(tmp_path / NAME, ARTIFACT)
    release = Release()
    write_whole(tmp_path / release.fingerprint.file, release.fingerprint.to_bytes())
    write_whole(
        tmp_path / "in-toto" / LAYOUT_FILE, sealed(release.compiled_layout().to_bytes(), ["olga"])
    )
    for number, name in enumerate(("builder-a", "builder-b")):
        party = parties(make_root())[name]
        host = msgspec.structs.replace(DOCKER, engine=f"engine-{number}")
        byproducts = Byproducts(
            host=host,
            commitment_salt=sha256_hex(name.encode()),
            heard=tuple(sorted((sha256_hex(b"a"), sha256_hex(b"b")))),
        )
        evidence = sign_evidence(
            (release.fingerprint,),
            {"linux": BuildTimes(NOW, NOW)},
            party,
            partial(sign_by, name),
            byproducts,
        )
        assert (
            b"engine-" in parse_envelope(evidence[link_file_name("build", party.keyid)], "").payload
        )
        for file, data in evidence.items():
            write_whole(tmp_path / "in-toto" / file, data)
        write_whole(tmp_path / "in-toto" / commitment_file_name(party.keyid), b"beside")
    said = reference_says(tmp_path)
    assert said.returncode == 0, said.stderr
    assert "The software product passed all verification." in said.stderr + said.stdout


def test_the_source_link_says_nothing_of_the_machine() -> None:
    source, build = make_links((Release().fingerprint,), Byproducts(host=DOCKER))
    assert source.byproducts == Byproducts()
    assert build.byproducts.host == DOCKER
