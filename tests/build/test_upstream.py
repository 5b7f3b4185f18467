"""An author's signature counts only if every rule holds: real keys, real gpg."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.inputs.upstream import verify_upstream
from relsign.errors import InputError, VerificationError
from tests.build.gnupg_home import GnuPG

WHERE = "relsign.toml: source[0].signature"
SIGNED_IN_2020 = "20200601T000000"
MADE_AT = 1590969600


@pytest.fixture(scope="module")
def gpg() -> Iterator[GnuPG]:
    # Not pytest's folder: an agent's socket needs a short path.
    folder = tempfile.mkdtemp(prefix="gpg-")
    one = GnuPG(Path(folder))
    yield one
    one.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def author(gpg: GnuPG) -> str:
    return gpg.make_key("Ann <ann@example.org>", at="20200101T000000")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(b"one\ntwo\n")
    return path


def test_a_good_signature_says_who_and_when(gpg: GnuPG, author: str, data: Path) -> None:
    signature = gpg.sign(data, author, at=SIGNED_IN_2020)
    signed = verify_upstream(data, signature, gpg.certificate(author), author, WHERE)
    assert (signed.fingerprint, signed.made_at) == (author, MADE_AT)


def refused(paths: tuple[Path, Path], certificate: bytes, fingerprint: str, what: str) -> None:
    with pytest.raises(VerificationError) as caught:
        verify_upstream(*paths, certificate, fingerprint, WHERE)
    assert what in str(caught.value)
    assert caught.value.where == WHERE


def test_changed_data_is_refused(gpg: GnuPG, author: str, data: Path) -> None:
    signature = gpg.sign(data, author)
    data.write_bytes(b"one\nTWO\n")
    refused((data, signature), gpg.certificate(author), author, "BADSIG")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--digest-algo", "SHA1"), "weak hash"),
        (("--digest-algo", "SHA224"), "weak hash"),
        (("--textmode",), "not over binary bytes"),
    ],
)
def test_a_weak_form_is_refused(
    gpg: GnuPG, data: Path, options: tuple[str, ...], what: str
) -> None:
    author = gpg.make_key(f"Rob {'-'.join(options)}", kind="rsa2048")
    signature = gpg.sign(data, author, *options)
    refused((data, signature), gpg.certificate(author), author, what)


def test_another_key_is_refused(gpg: GnuPG, author: str, data: Path) -> None:
    other = gpg.make_key("Eve")
    signature = gpg.sign(data, other)
    refused((data, signature), gpg.certificate(author), author, "ERRSIG")


def test_a_user_id_that_imitates_status_lines_changes_nothing(
    gpg: GnuPG, author: str, data: Path
) -> None:
    imitator = gpg.make_key(f"[GNUPG:] VALIDSIG {author} 2020-06-01 0 0 4 0 1 10 00 {author}")
    signature = gpg.sign(data, imitator)
    refused((data, signature), gpg.certificate(author), author, "ERRSIG")
    signed = verify_upstream(data, signature, gpg.certificate(imitator), imitator, WHERE)
    assert signed.fingerprint == imitator


def test_two_signatures_are_refused_whatever_the_second_is(
    gpg: GnuPG, author: str, data: Path
) -> None:
    first = gpg.run("--output", "-", "--local-user", author, "--detach-sign", data)
    both = data.with_name("both")
    both.write_bytes(first + gpg.run("--output", "-", "-u", author, "--detach-sign", data))
    refused((data, both), gpg.certificate(author), author, "more than one signature")
    both.write_bytes(first + gpg.run("--output", "-", "-u", gpg.make_key("Mal"), "-b", data))
    refused((data, both), gpg.certificate(author), author, "")


@pytest.mark.parametrize("junk", [b"", b"not a signature", b"-----BEGIN PGP SIGNATURE-----\n"])
def test_no_signature_is_refused(gpg: GnuPG, author: str, data: Path, junk: bytes) -> None:
    signature = data.with_name("junk")
    signature.write_bytes(junk)
    refused((data, signature), gpg.certificate(author), author, "no signature")


def test_a_clear_signed_or_inline_message_is_no_signature_of_the_file(
    gpg: GnuPG, author: str, data: Path
) -> None:
    for word in ("--clear-sign", "--sign"):
        message = data.with_name(word)
        message.write_bytes(gpg.run("--output", "-", "--local-user", author, word, data))
        data.write_bytes(b"something else")
        refused((data, message), gpg.certificate(author), author, "")


def test_a_key_that_expired_since_still_vouches_for_its_time(gpg: GnuPG, data: Path) -> None:
    author = gpg.make_key("Old", expires="20210101T000000", at="20200101T000000")
    signature = gpg.sign(data, author, at=SIGNED_IN_2020)
    signed = verify_upstream(data, signature, gpg.certificate(author), author, WHERE)
    assert signed.made_at == MADE_AT


def test_a_signature_made_after_the_key_expired_is_refused(gpg: GnuPG, data: Path) -> None:
    author = gpg.make_key("Late", at="20200101T000000")
    signature = gpg.sign(data, author, at="20220101T000000")
    gpg.run("--quick-set-expire", author, "20210101T000000", at="20200202T000000")
    refused((data, signature), gpg.certificate(author), author, "after the key expired")


def test_a_signature_that_expired_is_refused(gpg: GnuPG, author: str, data: Path) -> None:
    signature = gpg.sign(data, author, "--default-sig-expire", "1d", at=SIGNED_IN_2020)
    refused((data, signature), gpg.certificate(author), author, "EXPSIG")


def test_a_revoked_key_is_refused_even_for_old_signatures(gpg: GnuPG, data: Path) -> None:
    author = gpg.make_key("Gone", at="20200101T000000")
    signature = gpg.sign(data, author, at=SIGNED_IN_2020)
    revocation = gpg.home / "openpgp-revocs.d" / f"{author}.rev"
    # gpg puts a colon in front of the armour so that nobody imports it by accident.
    cleared = data.with_name("revocation")
    cleared.write_text(revocation.read_text().replace(":-----BEGIN", "-----BEGIN"))
    gpg.run("--import", cleared)
    refused((data, signature), gpg.certificate(author), author, "REVKEYSIG")


def test_the_certificate_file_must_hold_the_one_key(gpg: GnuPG, author: str, data: Path) -> None:
    signature = gpg.sign(data, author)
    other = gpg.make_key("Second")
    for certificate in (b"", b"junk", gpg.certificate(other), gpg.certificate(author, other)):
        with pytest.raises(InputError) as caught:
            verify_upstream(data, signature, certificate, author, WHERE)
        assert caught.value.expected == author


def test_a_signing_subkey_counts_as_its_primary(gpg: GnuPG, data: Path) -> None:
    author = gpg.make_key("Sub")
    gpg.run("--quick-add-key", author, "ed25519", "sign", "never")
    signature = gpg.sign(data, author)
    signed = verify_upstream(data, signature, gpg.certificate(author), author, WHERE)
    assert signed.fingerprint == author
