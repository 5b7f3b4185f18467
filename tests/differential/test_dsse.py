"""securesystemslib and ours on the same envelopes, signed by ECDSA and RSA keys.

Each envelope is a release's statement with signatures that are good, false or odd.  Both
sides are asked about each key alone, and about two of three, of which ours is the whole
decision on the release, and must say the same.  The two differences are tests of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, Hash, HashAlgorithm
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.exceptions import VerificationError as SecureSystemsError
from securesystemslib.signer._key import SSlibKey

from relsign.crypto.keys import EcdsaPublic, RsaPublic, spki_pem
from relsign.crypto.signatures import verify_envelope
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.roster import RsaKey
from relsign.verify.root import check_root
from relsign.verify.verdict import Word
from tests.crypto.roster_keys import (
    b64,
    ecdsa_key,
    ecdsa_member,
    person,
    rsa_key,
    rsa_member,
    sign_ecdsa,
    sign_pss,
    spki_of,
)
from tests.crypto.stranger_keys import private
from tests.verify.broken import replaced, statement_payload
from tests.verify.releases import NOW, Release, with_members

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256's group."""
Sign = Callable[[bytes], bytes]


@cache
def second_rsa() -> RSAPrivateKey:
    key = private("rsa2")
    assert isinstance(key, RSAPrivateKey)
    return key


def pkcs1(key: RSAPrivateKey, message: bytes, kind: HashAlgorithm | None = None) -> bytes:
    return key.sign(message, PKCS1v15(), kind or SHA512())


def pss(message: bytes, mgf: HashAlgorithm, kind: HashAlgorithm) -> bytes:
    return rsa_key().sign(message, PSS(mgf=MGF1(mgf), salt_length=32), kind)


ROOT = with_members(
    ecdsa_member(),
    rsa_member(),
    person("rolf", RsaKey(public=b64(spki_of(second_rsa())), scheme="rsa-pkcs1v15-sha512")),
)
SIGNERS = tuple(party for party in check_root(ROOT) if party.name in {"edda", "rita", "rolf"})
KEYIDS = {party.name: party.keyid for party in SIGNERS}
GOOD: dict[str, Sign] = {
    "edda": sign_ecdsa,
    "rita": sign_pss,
    "rolf": partial(pkcs1, second_rsa()),
}
PAYLOAD = statement_payload()


def twin(signature: bytes) -> bytes:
    """Return the other ECDSA signature that the same nonce gives: S negated."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, ORDER - s)


def raw_pair(signature: bytes) -> bytes:
    """Return an ECDSA signature as two numbers and no DER."""
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def digest_of(message: bytes) -> bytes:
    whole = Hash(SHA256())
    whole.update(message)
    return whole.finalize()


def flipped(sign: Sign, at: int) -> Sign:
    def made(message: bytes) -> bytes:
        data = bytearray(sign(message))
        data[at] ^= 1
        return bytes(data)

    return made


def other_ec(message: bytes) -> bytes:
    other = private("ec2")
    assert isinstance(other, EllipticCurvePrivateKey)
    return other.sign(message, ECDSA(SHA256()))


EACH: dict[str, Callable[[Sign], Sign]] = {
    "flips the last bit": lambda sign: flipped(sign, -1),
    "flips an early bit": lambda sign: flipped(sign, 9),
    "signs other bytes": lambda sign: lambda message: sign(message + b"."),
    "signs without PAE": lambda sign: lambda _: sign(PAYLOAD),
    "signs another type": lambda sign: lambda _: sign(pae("x", PAYLOAD)),
    "cuts a byte off": lambda sign: lambda message: sign(message)[:-1],
    "adds a byte": lambda sign: lambda message: sign(message) + b"\0",
    "gives nothing but zeros": lambda _: lambda _message: bytes(256),
    "gives one byte": lambda _: lambda _message: b"\1",
}
CHANGED: dict[str, tuple[str, Sign]] = {
    **{f"{n} {words}": (n, make(s)) for words, make in EACH.items() for n, s in GOOD.items()},
    "edda hashes with SHA-512": ("edda", lambda m: sign_ecdsa(m, SHA512())),
    "edda hashes twice": ("edda", lambda m: sign_ecdsa(digest_of(m))),
    "edda gives no DER": ("edda", lambda m: raw_pair(sign_ecdsa(m))),
    "edda gives R and S of zero": ("edda", lambda _: encode_dss_signature(0, 0)),
    "edda adds the order to S": (
        "edda",
        lambda m: encode_dss_signature(
            decode_dss_signature(sign_ecdsa(m))[0], decode_dss_signature(sign_ecdsa(m))[1] + ORDER
        ),
    ),
    "edda is another P-256 key": ("edda", other_ec),
    "rita signs as rolf's scheme": ("rita", lambda m: pkcs1(rsa_key(), m)),
    "rita signs PKCS #1 with SHA-256": ("rita", lambda m: pkcs1(rsa_key(), m, SHA256())),
    "rita hashes with SHA-512": ("rita", lambda m: pss(m, SHA512(), SHA512())),
    "rita masks with SHA-512": ("rita", lambda m: pss(m, SHA512(), SHA256())),
    "rita hashes with SHA-384, masks with SHA-256": ("rita", lambda m: pss(m, SHA256(), SHA384())),
    "rita is rolf's key": (
        "rita",
        lambda m: second_rsa().sign(m, PSS(mgf=MGF1(SHA256()), salt_length=32), SHA256()),
    ),
    "rolf signs as rita's scheme": (
        "rolf",
        lambda m: second_rsa().sign(m, PSS(mgf=MGF1(SHA512()), salt_length=32), SHA512()),
    ),
    "rolf hashes with SHA-256": ("rolf", lambda m: pkcs1(second_rsa(), m, SHA256())),
    "rolf hashes with SHA-384": ("rolf", lambda m: pkcs1(second_rsa(), m, SHA384())),
    "rolf is rita's key": ("rolf", lambda m: pkcs1(rsa_key(), m)),
}
"""Whose signature is another than it should be, and what stands there."""

ODD_BUT_GOOD: dict[str, tuple[str, Sign]] = {
    "edda's S negated": ("edda", lambda m: twin(sign_ecdsa(m))),
    "edda signs the digest": (
        "edda",
        lambda m: ecdsa_key().sign(digest_of(m), ECDSA(Prehashed(SHA256()))),
    ),
    "rita's salt is empty": ("rita", lambda m: sign_pss(m, 0)),
    "rita's salt is short": ("rita", lambda m: sign_pss(m, 1)),
    "rita's salt is as long as can be": ("rita", lambda m: sign_pss(m, 222)),
    "edda signs once more": ("edda", sign_ecdsa),
    "rita signs once more": ("rita", sign_pss),
}
"""Unlike what our own signers make, and good to both."""


def envelope(who: tuple[str, ...], changed: tuple[str, Sign] | None = None) -> Envelope:
    """Return the statement signed by some, one of them perhaps in another way."""
    signs = GOOD if changed is None else {**GOOD, changed[0]: changed[1]}
    message = pae(INTOTO_PAYLOAD, PAYLOAD)
    made = tuple(Signature(keyid=KEYIDS[name], sig=signs[name](message)) for name in who)
    return Envelope(payload=PAYLOAD, payload_type=INTOTO_PAYLOAD, signatures=made)


def reference_keys() -> dict[str, SSlibKey]:
    """Return the keys as securesystemslib takes them, from the root's own bytes."""
    found = {}
    for party in SIGNERS:
        assert isinstance(party.key, EcdsaPublic | RsaPublic)
        ec = isinstance(party.key, EcdsaPublic)
        kind = "ecdsa" if ec else "rsa"
        scheme = "ecdsa-sha2-nistp256" if isinstance(party.key, EcdsaPublic) else party.key.scheme
        public = {"public": spki_pem(party.key.spki).decode()}
        found[party.name] = SSlibKey(party.keyid, kind, scheme, public)
    return found


def they_say(it: Envelope, names: tuple[str, ...], threshold: int) -> bool:
    """Ask securesystemslib, on the bytes that we write."""
    read = ReferenceEnvelope.from_dict(json.loads(it.to_bytes()))
    keys = reference_keys()
    try:
        read.verify([keys[name] for name in names], threshold)
    except SecureSystemsError:
        return False
    return True


def we_say(it: Envelope, name: str) -> bool:
    parties = tuple(party for party in SIGNERS if party.name == name)
    return bool(verify_envelope(it, parties, NOW).valid)


def decision(it: Envelope) -> Word:
    """Decide on the whole release, which needs two signers."""
    files = replaced(STATEMENT_FILE, it.to_bytes())
    return Release(root=ROOT, change_files=files).decide().verdict.word


def agree(it: Envelope) -> dict[str, bool]:
    """Ask both about each key and about two of three; return what they said of each."""
    ours = {name: we_say(it, name) for name in GOOD}
    assert ours == {name: they_say(it, (name,), 1) for name in GOOD}
    enough = they_say(it, tuple(GOOD), 2)
    assert (decision(it) is Word.VERIFIED) is enough
    return ours


def test_keyids_are_those_of_securesystemslib() -> None:
    """Theirs for a key without one is worked out from its PEM, as ours from its DER."""
    for name, private_key in (("edda", ecdsa_key()), ("rita", rsa_key()), ("rolf", second_rsa())):
        scheme = reference_keys()[name].scheme
        theirs = SSlibKey.from_crypto(private_key.public_key(), scheme=scheme)
        assert theirs.keyid == KEYIDS[name]


@pytest.mark.parametrize(
    "who",
    [(), ("edda",), ("rita",), ("rolf",), ("edda", "rita"), ("edda", "rolf"), ("rita", "rolf"),
     ("edda", "rita", "rolf")],
)  # fmt: skip
def test_good_signatures_are_good_to_both(who: tuple[str, ...]) -> None:
    assert agree(envelope(who)) == {name: name in who for name in GOOD}


@pytest.mark.parametrize("kind", CHANGED)
def test_false_signatures_are_false_to_both(kind: str) -> None:
    whose = CHANGED[kind][0]
    others = [name for name in GOOD if name != whose]
    for who in ((whose,), (whose, others[0]), tuple(GOOD)):
        said = agree(envelope(who, CHANGED[kind]))
        assert said == {name: name in who and name != whose for name in GOOD}
    assert decision(envelope((whose, others[0]), CHANGED[kind])) is Word.REFUSED


@pytest.mark.parametrize("kind", ODD_BUT_GOOD)
def test_odd_signatures_are_good_to_both(kind: str) -> None:
    whose = ODD_BUT_GOOD[kind][0]
    others = [name for name in GOOD if name != whose]
    for who in ((whose,), (whose, others[0])):
        assert agree(envelope(who, ODD_BUT_GOOD[kind])) == {name: name in who for name in GOOD}


def test_a_changed_payload_is_false_to_both() -> None:
    good = envelope(tuple(GOOD))
    changed = PAYLOAD.replace(b'"sequence":1', b'"sequence":2')
    assert changed != PAYLOAD
    it = Envelope(payload=changed, payload_type=INTOTO_PAYLOAD, signatures=good.signatures)
    assert agree(it) == dict.fromkeys(GOOD, False)


def test_labels_that_are_exchanged_decide_nothing_here_and_everything_there() -> None:
    """The one way in which ours accepts more: DSSE's keyids are not authenticated."""
    good = envelope(("edda", "rita"))
    edda, rita = good.signatures
    exchanged = (
        Signature(keyid=edda.keyid, sig=rita.sig),
        Signature(keyid=rita.keyid, sig=edda.sig),
    )
    it = Envelope(payload=PAYLOAD, payload_type=INTOTO_PAYLOAD, signatures=exchanged)
    assert not they_say(it, tuple(GOOD), 1)
    assert decision(it) is Word.VERIFIED
    assert decision(good) is Word.VERIFIED


def test_one_key_twice_is_one_signer_here_and_no_envelope_there() -> None:
    message = pae(INTOTO_PAYLOAD, PAYLOAD)
    twice = tuple(Signature(keyid=KEYIDS["edda"], sig=sign_ecdsa(message)) for _ in range(2))
    assert twice[0] != twice[1]
    it = Envelope(payload=PAYLOAD, payload_type=INTOTO_PAYLOAD, signatures=twice)
    with pytest.raises(ValueError, match="Multiple signatures"):
        they_say(it, tuple(GOOD), 1)
    assert decision(it) is Word.NOT_ENOUGH
