"""Tokens: SoftHSM signs in every way a key here may, and nothing odd is used."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism

from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.roster import EcdsaKey, RsaScheme
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.keys.uri import Pkcs11Uri
from relsign.sign.signers.pkcs11 import load_pkcs11_signer

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = b"314159"
MESSAGE = b"DSSEv1 statement \x00\xff\r\n" * 5_000
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")
ED25519 = bytes.fromhex("06032b6570")


@pytest.fixture(scope="module", autouse=True)
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make tokens with keys in a folder of their own."""
    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        for label in ("releases", "twin", "twin"):
            subprocess.run(
                ["softhsm2-util", "--init-token", "--free", "--label", label,
                 "--pin", PIN.decode(), "--so-pin", "27182818"],
                check=True, capture_output=True,
            )  # fmt: skip
        library = pkcs11.lib(MODULE)
        fill(library.get_token(token_label="releases"))
        yield
        pkcs11.unload(MODULE)


def fill(held: pkcs11.Token) -> None:
    with held.open(rw=True, user_pin=PIN.decode()) as session:
        curve(session, KeyType.EC_EDWARDS, ED25519, "ed", b"\x01")
        curve(session, KeyType.EC, P256, "p256", b"\x02")
        curve(session, KeyType.EC, P384, "p384", b"\x03")
        curve(session, KeyType.EC, P256, "always", b"\x04", ask=True)
        # Two keys of one label; and one whose halves do not belong together.
        curve(session, KeyType.EC, P256, "same", b"\x05")
        curve(session, KeyType.EC, P256, "same", b"\x06")
        curve(session, KeyType.EC, P256, "mixed", b"\x07")[0].destroy()
        curve(session, KeyType.EC, P256, "mixed", b"\x07")[1].destroy()
        curve(session, KeyType.EC, P256, "public", b"\x08")[1].destroy()
        session.generate_keypair(KeyType.RSA, 2048, store=True, label="rsa", id=b"\x09")
        session.generate_keypair(KeyType.RSA, 1024, store=True, label="weak", id=b"\x0a")
        barred = {Attribute.SIGN: False, Attribute.DECRYPT: True}
        session.generate_keypair(
            KeyType.RSA, 2048, store=True, label="barred", id=b"\x0b", private_template=barred
        )


def curve(
    session: pkcs11.Session, kind: KeyType, parameters: bytes, label: str, key_id: bytes,
    *, ask: bool = False,
) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:  # fmt: skip
    domain = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)
    how = Mechanism.EC_EDWARDS_KEY_PAIR_GEN if kind == KeyType.EC_EDWARDS else None
    private = {Attribute.ALWAYS_AUTHENTICATE: True} if ask else {}
    return domain.generate_keypair(
        store=True, label=label, id=key_id, private_template=private, mechanism=how
    )


def at(label: str = "", key_id: bytes = b"", on: str = "releases") -> Pkcs11Uri:
    return Pkcs11Uri(MODULE, token=on, object=label, id=key_id)


def test_ed25519() -> None:
    signer = load_pkcs11_signer(at("ed"), PIN, "rsassa-pss-sha256")
    assert signer.public.kind == "ed25519"
    signature = signer.sign(MESSAGE)
    Ed25519PublicKey.from_public_bytes(signer.public.data).verify(signature, MESSAGE)
    assert PIN.decode() not in repr(signer)


@pytest.mark.parametrize("uri", [at("p256"), at(key_id=b"\x02"), at("always")])
def test_ecdsa_by_label_or_id_and_asking_each_time(uri: Pkcs11Uri) -> None:
    signer = load_pkcs11_signer(uri, PIN, "rsassa-pss-sha256")
    assert signer.public.kind == "ecdsa-p256"
    public = load_der_public_key(signer.public.data)
    assert isinstance(public, EllipticCurvePublicKey)
    for _ in range(2):
        public.verify(signer.sign(MESSAGE), MESSAGE, ECDSA(SHA256()))


@pytest.mark.parametrize("scheme", ["rsassa-pss-sha256", "rsa-pkcs1v15-sha512"])
def test_rsa(scheme: RsaScheme) -> None:
    signer = load_pkcs11_signer(at("rsa"), PIN, scheme)
    assert (signer.public.kind, signer.public.scheme) == ("rsa", scheme)
    public = load_der_public_key(signer.public.data)
    assert isinstance(public, RSAPublicKey)
    signature = signer.sign(MESSAGE)
    if scheme == "rsassa-pss-sha256":
        public.verify(signature, MESSAGE, PSS(MGF1(SHA256()), 32), SHA256())
    else:
        public.verify(signature, MESSAGE, PKCS1v15(), SHA512())


def test_a_token_by_its_serial() -> None:
    (held,) = pkcs11.lib(MODULE).get_tokens(token_label="releases")
    uri = Pkcs11Uri(MODULE, serial=held.serial.decode(), object="ed")
    assert load_pkcs11_signer(uri, PIN, "rsassa-pss-sha256").sign(MESSAGE)


REFUSED: list[tuple[Pkcs11Uri, bytes, type[RelsignError], str]] = [
    (at("ed"), b"314158", InputError, "wrong PIN"),
    (at("ed"), b"", InputError, "wrong PIN"),
    (at("ed"), b"\xff\xff", InputError, "not UTF-8"),
    (at("ed", on="absent"), PIN, NotEnoughError, "no such token"),
    (at("ed", on="twin"), PIN, InputError, "several tokens"),
    (at("absent"), PIN, NotEnoughError, "no such public key"),
    (at("ed", b"\x02"), PIN, NotEnoughError, "no such public key"),
    (at("same"), PIN, InputError, "several such public keys"),
    (at("public"), PIN, NotEnoughError, "no such private key"),
    (at("p384"), PIN, InputError, "not a kind of key"),
]


@pytest.mark.parametrize(("uri", "pin", "kind", "reason"), REFUSED)
def test_what_opens_no_key(
    uri: Pkcs11Uri, pin: bytes, kind: type[RelsignError], reason: str
) -> None:
    with pytest.raises(kind, match=reason) as refused:
        load_pkcs11_signer(uri, pin, "rsassa-pss-sha256")
    assert refused.value.hint
    assert pin.decode(errors="ignore") not in str(refused.value) or not pin.isdigit()


def test_one_of_two_keys_with_one_label_is_named_by_its_id() -> None:
    assert load_pkcs11_signer(at("same", b"\x05"), PIN, "rsassa-pss-sha256").sign(b"m")


def test_a_signature_that_is_not_the_public_half_s_is_not_used() -> None:
    signer = load_pkcs11_signer(at("mixed"), PIN, "rsassa-pss-sha256")
    with pytest.raises(VerificationError):
        signer.sign(MESSAGE)


def test_a_weak_key_signs_nothing() -> None:
    signer = load_pkcs11_signer(at("weak"), PIN, "rsa-pkcs1v15-sha512")
    with pytest.raises(InputError, match="1024 bits"):
        signer.sign(MESSAGE)


def test_a_key_that_may_not_sign() -> None:
    signer = load_pkcs11_signer(at("barred"), PIN, "rsa-pkcs1v15-sha512")
    with pytest.raises(InputError, match="may not sign"):
        signer.sign(MESSAGE)


def test_modules_that_are_not_loaded(tmp_path: Path) -> None:
    others = tmp_path / "others.so"
    others.write_bytes(b"\x7fELF")
    others.chmod(0o777)
    junk = tmp_path / "junk.so"
    junk.write_bytes(b"\x7fELF")
    rows: list[tuple[Path, type[RelsignError], str]] = [
        (tmp_path / "absent.so", HostError, "no such file"),
        (tmp_path, InputError, "not a module"),
        (others, InputError, "not a module"),
        (junk, HostError, "module failed"),
    ]
    for path, kind, reason in rows:
        uri = Pkcs11Uri(str(path), token="t", object="o")
        with pytest.raises(kind, match=reason):
            load_pkcs11_signer(uri, PIN, "rsassa-pss-sha256")


def test_a_token_s_key_is_enrolled_and_signs(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    wanted = wanted_member("zoe", "zoe", "acme", ("signer",), "ed25519")
    member = store.enrol(wanted, at("p256"), PIN, "rsassa-pss-sha256")
    assert isinstance(member.key, EcdsaKey)
    assert store.uri("zoe") == at("p256")
    assert store.asks_for("zoe") == "PIN of the token releases for zoe"
    assert store.open("zoe", PIN).sign(MESSAGE)
    with pytest.raises(InputError, match="no passphrase or PIN"):
        store.open("zoe", None)
    builder = wanted_member("yan", "yan", "acme", ("builder",), "ed25519")
    with pytest.raises(InputError, match="only be a signer's"):
        store.enrol(builder, at("p256"), PIN, "rsassa-pss-sha256")
    assert store.names() == ("zoe",)
