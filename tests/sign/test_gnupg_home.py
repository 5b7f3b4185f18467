"""A person's own GnuPG home: her agent asks, her subkeys sign, her agent stays."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.errors import InputError
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.keys.uri import GnupgUri
from relsign.sign.signers.gnupg import GnupgHome, load_gnupg_signer
from relsign.system.clock import now_utc
from tests.sign.test_signers import agents_of, is_ended

PASSPHRASE = b"correct horse battery"
MESSAGE = b"statement\r\n \x00\xff" * 100
PINENTRY = """\
#!/bin/sh
echo "OK ready"
while read -r command rest; do
  case "$command" in
    GETPIN) {answer} ;;
    BYE) echo "OK"; exit 0 ;;
    *) echo "OK" ;;
  esac
done
"""
GIVES = f'echo "D {PASSPHRASE.decode()}"; echo "OK"'
QUICK = "s2k-count 65536\n"
"""Spares the agent a second of measuring how slow a passphrase is to be."""
CANCELS = 'echo "ERR 83886179 Operation cancelled <Pinentry>"'


@dataclass
class Person:
    """A home with a certifying primary and two subkeys that sign, the newer one last."""

    home: Path
    primary: str
    older: str
    newer: str

    @property
    def place(self) -> GnupgHome:
        return GnupgHome(self.home, is_persons_own=True)

    def gpg(self, *words: str, given: bytes = b"") -> bytes:
        return subprocess.run(
            ["gpg", "--homedir", self.home, "--batch", "--quiet", "--pinentry-mode", "loopback",
             "--passphrase", PASSPHRASE.decode(), *words],
            input=given, capture_output=True, check=True,
        ).stdout  # fmt: skip

    def end_agent(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)

    def install_pinentry(self, answer: str) -> None:
        """Let the home's agent ask a program that answers so; forget what it knew."""
        self.end_agent()
        program = self.home / "pinentry"
        program.write_text(PINENTRY.format(answer=answer))
        program.chmod(0o700)
        (self.home / "gpg-agent.conf").write_text(f"{QUICK}pinentry-program {program}\n")


@pytest.fixture(scope="module")
def zoe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    home = tmp_path_factory.mktemp("z") / "h"
    home.mkdir(mode=0o700)
    (home / "gpg-agent.conf").write_text(QUICK)
    person = Person(home, "", "", "")
    when = "--faked-system-time"
    person.gpg(when, "20230101T000000!", "--quick-gen-key", "Zoe <z@example.org>", "ed25519",
               "cert", "0")  # fmt: skip
    person.primary = fingerprints(person)[0]
    for moment in ("20240101T000000!", "20250101T000000!"):
        person.gpg(when, moment, "--quick-add-key", person.primary, "ed25519", "sign", "0")
    _, person.older, person.newer = fingerprints(person)
    person.end_agent()
    yield person
    person.end_agent()


def fingerprints(person: Person) -> list[str]:
    lines = person.gpg("--with-colons", "--list-keys").decode().splitlines()
    return [line.split(":")[9] for line in lines if line.startswith("fpr")]


def maker(person: Person, signature: bytes, data: bytes) -> str:
    certificate = parse_certificate(data, "t")
    assert certificate.fingerprint == person.primary
    return verify_detached(certificate, signature, MESSAGE, now_utc()).fingerprint


def test_her_agent_asks_and_stays(zoe: Person) -> None:
    zoe.install_pinentry(GIVES)
    signer = load_gnupg_signer(zoe.place, zoe.primary, None)
    assert maker(zoe, signer.sign(MESSAGE), signer.public.data) == zoe.newer
    assert len(agents_of(zoe.home)) == 1
    assert not (zoe.home / "relsign.lock").exists()


def test_she_may_cancel(zoe: Person) -> None:
    zoe.install_pinentry(CANCELS)
    with pytest.raises(InputError, match="cancelled") as refused:
        load_gnupg_signer(zoe.place, zoe.primary, None).sign(MESSAGE)
    assert refused.value.hint


def test_with_a_passphrase_from_us_nobody_is_asked_and_no_agent_stays(zoe: Person) -> None:
    zoe.install_pinentry(CANCELS)
    signer = load_gnupg_signer(zoe.place, zoe.primary, PASSPHRASE)
    assert maker(zoe, signer.sign(MESSAGE), signer.public.data) == zoe.newer
    assert is_ended(zoe.home)
    with pytest.raises(InputError, match="wrong passphrase"):
        load_gnupg_signer(zoe.place, zoe.primary, PASSPHRASE + b"x").sign(MESSAGE)


def test_the_subkey_that_is_named_signs(zoe: Person) -> None:
    for fingerprint in (zoe.older, zoe.newer):
        signer = load_gnupg_signer(zoe.place, fingerprint, PASSPHRASE)
        assert maker(zoe, signer.sign(MESSAGE), signer.public.data) == fingerprint


def test_a_laptop_has_the_subkeys_alone(
    zoe: Person, tmp_path_factory: pytest.TempPathFactory
) -> None:
    laptop = Person(tmp_path_factory.mktemp("l") / "h", zoe.primary, zoe.older, zoe.newer)
    laptop.home.mkdir(mode=0o700)
    (laptop.home / "gpg-agent.conf").write_text(QUICK)
    laptop.gpg("--import", given=zoe.gpg("--export-secret-subkeys", f"{zoe.newer}!"))
    laptop.end_agent()
    signer = load_gnupg_signer(laptop.place, zoe.primary, PASSPHRASE)
    assert maker(zoe, signer.sign(MESSAGE), signer.public.data) == zoe.newer
    with pytest.raises(InputError, match="no such key"):
        load_gnupg_signer(laptop.place, zoe.older, PASSPHRASE).sign(MESSAGE)


def test_her_key_is_enrolled_where_it_is(zoe: Person, tmp_path: Path) -> None:
    zoe.install_pinentry(GIVES)
    store = KeyStore(tmp_path / "keys")
    uri = GnupgUri(zoe.primary, str(zoe.home))
    wanted = wanted_member("zoe", "zoe", "acme", ("signer",), "ed25519")
    store.enrol(wanted, uri, None, "rsassa-pss-sha256")
    assert sorted(path.name for path in (store.folder / "zoe").iterdir()) == [
        "member.toml",
        "signer.toml",
    ]
    assert store.asks_for("zoe") == ""
    signer = store.open("zoe", None)
    assert maker(zoe, signer.sign(MESSAGE), signer.public.data) == zoe.newer
