"""Ours and other programs on the same signatures: 100 good ones, and 400 made false or odd.

Each kind of oddity has a name, and where a program says otherwise than we do, the kind
stands in a table with the reason.  We accept nothing that the program refuses whose
format it is.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections import Counter
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from relsign.crypto.keys import Ed25519Public, parse_ed25519
from relsign.crypto.minisign import key_number, public_key_text, signature_file, verify_file
from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.crypto.signatures import verify_ed25519
from relsign.crypto.spki import parse_key
from relsign.errors import InputError, VerificationError
from tests.crypto.openpgp_cases import AT, PRIMARY, rsa_key
from tests.crypto.openpgp_maker import Key, simple
from tests.differential.corrupt import (
    ED25519,
    MINISIGN,
    OPENPGP,
    Made,
    MiniMade,
    PgpMade,
    make,
    pgp_make,
)
from tests.differential.ed25519 import IDENTITY, SMALL_ORDER
from tests.differential.tools import (
    Gpg,
    gpg_with,
    minisign_says,
    openssl_says,
    sqv_says,
    ssh_file,
    ssh_line,
    ssh_says,
    ssh_signed,
    succeeds,
)
from tests.verify.releases import secret

GOOD = {"ed25519": 40, "ssh": 10, "minisign": 20, "openpgp": 30}
BAD = {"ed25519": 208, "minisign": 85, "openpgp": 126}

Kind = tuple[str, str]
"""A program, and a kind of corruption."""

DIFFERENT: dict[Kind, str] = {
    ("cryptography", "R is the identity"): "OpenSSL lets R be of small order; libsodium does not",
    ("openssl", "R is the identity"): "the same library as a program",
    ("ssh-keygen", "R is the identity"): "OpenSSH's own code asks nothing of R",
    ("ssh-keygen", "S above the order"): "OpenSSH 9 takes S modulo the order: one can make twins",
}
"""Where we refuse what a program accepts."""


def chance(words: str) -> random.Random:
    return random.Random(words)  # noqa: S311 - the same on every run


def test_enough_was_asked() -> None:
    assert sum(GOOD.values()) >= 100
    assert sum(BAD.values()) >= 400


def we_say(made: Made) -> bool:
    try:
        verify_ed25519(Ed25519Public(made.public), made.signature, made.message)
    except VerificationError:
        return False
    return True


def cryptography_says(made: Made) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(made.public).verify(made.signature, made.message)
    except InvalidSignature:
        return False
    return True


def test_good_ed25519_signatures_are_good_to_all(tmp_path: Path) -> None:
    for number in range(GOOD["ed25519"]):
        made = make(f"key {number}", chance(f"good {number}").randbytes(1 + 7 * number))
        openssl = openssl_says(tmp_path, made.public, made.signature, made.message)
        assert (we_say(made), cryptography_says(made), openssl) == (True, True, True), number


def test_false_ed25519_signatures(tmp_path: Path) -> None:
    differ: set[Kind] = set()
    asked: Counter[str] = Counter()
    kinds = list(ED25519)
    for number in range(BAD["ed25519"]):
        kind = kinds[number % len(kinds)]
        with_chance = chance(f"bad {number}")
        made = make(f"key {number}", with_chance.randbytes(40))
        bad = ED25519[kind](made, with_chance)
        said = {"cryptography": cryptography_says(bad)}
        if number < 4 * len(kinds):
            said["openssl"] = openssl_says(tmp_path, bad.public, bad.signature, bad.message)
        if number < 2 * len(kinds) and bad.message == made.message:
            # ssh-keygen signs a structure around the message; ours reads the same bytes.
            inside = ED25519[kind](make(made.name, ssh_signed(made.message)), chance(f"{number}"))
            said["ssh-keygen"] = ssh_says(tmp_path, inside.public, inside.signature, made.message)
        assert not we_say(bad), (kind, number)
        asked.update(list(said))
        differ |= {(program, kind) for program, good in said.items() if good}
    assert differ == set(DIFFERENT), differ
    assert asked["cryptography"] == BAD["ed25519"]
    assert min(asked.values()) >= 20, asked


def test_keys_of_small_order_sign_anything_for_some_and_enrol_nowhere_here(tmp_path: Path) -> None:
    forged = IDENTITY + bytes(32)
    key = Ed25519PublicKey.from_public_bytes(IDENTITY)
    for message in (b"one", b"another"):
        key.verify(forged, message)
        assert openssl_says(tmp_path, IDENTITY, forged, message)
        with pytest.raises(VerificationError):
            verify_ed25519(Ed25519Public(IDENTITY), forged, message)
    for weak in SMALL_ORDER.values():
        with pytest.raises(InputError, match="not an acceptable"):
            parse_ed25519(weak, "t")
        with pytest.raises(InputError, match=r"small order|not an acceptable|not a public key"):
            parse_key(ssh_line(weak), "t")


# OpenSSH: we make no SSH signatures and verify none, but read its keys, and the Ed25519
# inside of its signatures is the same.


def test_ssh_keygen_and_we_agree_on_ed25519_both_ways(tmp_path: Path) -> None:
    for number in range(GOOD["ssh"]):
        message = chance(f"ssh {number}").randbytes(50)
        made = make(f"key {number}", ssh_signed(message))
        assert ssh_says(tmp_path, made.public, made.signature, message)
        assert we_say(made)
    key, data = tmp_path / "id", tmp_path / "data"
    data.write_bytes(b"a release")
    assert succeeds("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
    assert succeeds("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, data)
    line = (tmp_path / "id.pub").read_bytes()
    raw = base64.b64decode(line.split()[1])[-32:]
    text = (tmp_path / "data.sig").read_text().splitlines()[1:-1]
    signature = base64.b64decode("".join(text))[-64:]
    verify_ed25519(parse_ed25519(raw, "t"), signature, ssh_signed(b"a release"))
    assert parse_key(line, "t").spki[-32:] == raw
    assert ssh_file(raw, signature).split() == (tmp_path / "data.sig").read_bytes().split()


# minisign.

STRICTER_THAN_MINISIGN: dict[str, str] = {
    "an escape in the untrusted comment": "it would be printed: only printable ASCII here",
    "a line more": "nothing stands behind a signature here",
    "stray bits in base64": "one signature has one spelling here",
    "no last newline": "one signature has one spelling here",
    "carriage returns": "one signature has one spelling here",
}


def mini_make(number: int) -> MiniMade:
    made = make(f"key {number}", chance(f"mini {number}").randbytes(60))
    digest = hashlib.blake2b(made.message).digest()
    file = signature_file(
        lambda message: secret(made.name).sign(message).signature, made.public, digest, "demo 1.0"
    )
    return MiniMade(made, file)


def we_say_mini(mini: MiniMade) -> bool:
    digest = hashlib.blake2b(mini.made.message).digest()
    try:
        verify_file(mini.made.public, mini.file, digest, "t")
    except (InputError, VerificationError):
        return False
    return True


def minisign_says_of(mini: MiniMade, folder: Path) -> bool:
    return minisign_says(folder, public_key_text(mini.made.public), mini.file, mini.made.message)


def test_good_minisign_files_are_good_to_both(tmp_path: Path) -> None:
    for number in range(GOOD["minisign"]):
        mini = mini_make(number)
        assert (we_say_mini(mini), minisign_says_of(mini, tmp_path)) == (True, True)
        assert key_number(mini.made.public) in base64.b64decode(mini.lines()[1])


def test_false_minisign_files(tmp_path: Path) -> None:
    stricter: set[str] = set()
    both: Counter[str] = Counter()
    kinds = list(MINISIGN)
    for number in range(BAD["minisign"]):
        kind = kinds[number % len(kinds)]
        bad = MINISIGN[kind](mini_make(number), chance(f"mini bad {number}"))
        ours, theirs = we_say_mini(bad), minisign_says_of(bad, tmp_path)
        assert ours <= theirs, (kind, number)
        if theirs and not ours:
            stricter.add(kind)
        both.update([kind] if ours else [])
    assert stricter == set(STRICTER_THAN_MINISIGN)
    # What nobody signed may say anything.
    assert set(both) == {"another untrusted comment"}, both


# OpenPGP.

_START = "the two bytes are a hint to be quick; here they must be true"
_MAKER = "nothing in a signature may name another maker, signed or not"
STRICTER_THAN_OPENPGP: dict[Kind, str] = {
    ("gpg", "a bit of the digest's start"): _START,
    ("sqv", "a bit of the digest's start"): _START,
    ("gpg", "a bit of the unsigned keyid"): _MAKER,
    ("sqv", "a bit of the unsigned keyid"): _MAKER,
    ("gpg", "another unsigned keyid"): _MAKER,
    ("sqv", "another unsigned keyid"): _MAKER,
    ("gpg", "a byte more"): "nothing stands behind a signature here",
    ("gpg", "an integer padded"): "an integer has one spelling here",
    ("sqv", "an unsigned critical part"): "critical is critical, signed or not",
    ("sqv", "text"): "altered line ends would not be seen",
    ("sqv", "twice"): "one file, one signature: k of n is counted by files",
}
"""Where we refuse what a program accepts."""
GOOD_TO_ALL = {
    "no unsigned part",
    "an unsigned part nobody knows",
    "an unsigned expiry",
    "R is the identity",
}
"""Odd, and good all the same: what is not signed says nothing, and R may be what it likes
to the library that OpenPGP's Ed25519 goes through here, as to gpg's and sqv's."""


def we_say_pgp(made: PgpMade) -> bool:
    try:
        certificate = parse_certificate(simple(made.key), "t")
        verify_detached(certificate, made.signature, made.message, AT)
    except (InputError, VerificationError):
        return False
    return True


def test_good_openpgp_signatures_are_good_to_all(tmp_path: Path) -> None:
    for which, key in enumerate((PRIMARY, rsa_key())):
        with gpg_with(tmp_path / f"g{which}", simple(key), key.fingerprint, AT) as gpg:
            for number in range(GOOD["openpgp"] // 2):
                made = pgp_make(key, chance(f"pgp {number}").randbytes(50), number)
                assert (
                    we_say_pgp(made),
                    gpg.says(made.signature, made.message),
                    sqv_says(tmp_path, simple(key), made.signature, made.message),
                ) == (True, True, True), number


def _ask(made: PgpMade, gpgs: dict[str, Gpg], folder: Path) -> dict[str, bool]:
    return {
        "gpg": gpgs[made.key.fingerprint].says(made.signature, made.message),
        "sqv": sqv_says(folder, simple(made.key), made.signature, made.message),
    }


def test_false_openpgp_signatures(tmp_path: Path) -> None:
    keys: tuple[Key, ...] = (PRIMARY, rsa_key())
    differ: set[Kind] = set()
    lenient: set[Kind] = set()
    good: set[str] = set()
    kinds = list(OPENPGP)
    with (
        gpg_with(tmp_path / "g0", simple(keys[0]), keys[0].fingerprint, AT) as one,
        gpg_with(tmp_path / "g1", simple(keys[1]), keys[1].fingerprint, AT) as two,
    ):
        gpgs = {gpg.fingerprint: gpg for gpg in (one, two)}
        for number in range(BAD["openpgp"]):
            kind, with_chance = kinds[number % len(kinds)], chance(f"pgp bad {number}")
            key = keys[number // len(kinds) % 2]
            made = OPENPGP[kind](pgp_make(key, with_chance.randbytes(50), number), with_chance)
            ours, said = we_say_pgp(made), _ask(made, gpgs, tmp_path)
            good |= {kind} if ours else set()
            differ |= {(who, kind) for who, yes in said.items() if yes and not ours}
            lenient |= {(who, kind) for who, yes in said.items() if ours and not yes}
    assert lenient == set()
    assert differ == set(STRICTER_THAN_OPENPGP), differ
    assert good == GOOD_TO_ALL, good
