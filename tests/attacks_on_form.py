"""Attacks that are one release each, continued: envelopes, names, keys, forks (9 to 23)."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import msgspec

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae
from relsign.formats.roster import Ed25519Key
from tests.attacks import (
    B_BUILD,
    EVIL,
    MISSING,
    REFUSED,
    Attack,
    changed_payload,
    members,
    over_statement,
    payload,
    pgp_signer,
    signed_by,
    statement_text,
    with_root,
    with_statement,
)
from tests.crypto.openpgp_cases import PRIMARY, STRANGER, revoked_primary
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    certification,
    detached,
    lasts,
    packet,
    simple,
)
from tests.differential.ed25519 import PRIME, SMALL_ORDER
from tests.hostile.downloads import lasting
from tests.verify.broken import keyid, replaced
from tests.verify.releases import (
    NAME,
    Release,
    make_fingerprint,
    make_root,
    member,
    sealed,
    sign_by,
    signature_by,
)

# 9: envelopes.

JUNK = base64.b64encode(bytes(64)).decode()


def many_signatures(count: int) -> bytes:
    """Return an envelope with very many signatures."""
    table = json.loads(lasting().files()[STATEMENT_FILE])
    table["signatures"] += [{"keyid": f"{n:064x}", "sig": JUNK} for n in range(count)]
    return json.dumps(table).encode()


ENVELOPES = {
    "another payload type": Attack(
        signed_by(*(signature_by(n, payload(), "text/plain") for n in ("sam", "sara")),
                  kind="text/plain"),
        REFUSED, "bytes", "payload of another type",
    ),
    "signatures over another payload type": Attack(
        signed_by(*(signature_by(n, payload(), "text/plain") for n in ("sam", "sara"))),
        REFUSED, "signers", "signature does not verify",
    ),
    "signatures without PAE": Attack(
        signed_by(*(Signature(keyid=keyid(n), sig=sign_by(n, payload())) for n in ("sam", "sara"))),
        REFUSED, "signers", "signature does not verify",
    ),
    "a layout for a statement": Attack(
        lasting(lambda files: {**files, STATEMENT_FILE: files[LAYOUT_FILE]}),
        REFUSED, "bytes", "release.statement",
    ),
    "a statement for a layout": Attack(
        lasting(lambda files: {**files, LAYOUT_FILE: files[STATEMENT_FILE]}),
        MISSING, "layout", "0 of the 2 owners needed",
    ),
    "junk in base64": Attack(
        statement_text(lambda data: data.replace(b'"payload":"', b'"payload":"!!!!')),
        REFUSED, "bytes", "not base64",
    ),
    "white space in base64": Attack(
        statement_text(lambda data: data.replace(b'"payload":"', b'"payload":" ')),
        REFUSED, "bytes", "not base64",
    ),
    "both alphabets of base64": Attack(
        statement_text(lambda data: data.replace(b'"payload":"', b'"payload":"-+/_')),
        REFUSED, "bytes", "not base64",
    ),
    "20,000 signatures": Attack(
        lasting(replaced(STATEMENT_FILE, many_signatures(20_000))),
        REFUSED, "bytes", "release.statement",
    ),
    "no signature": Attack(signed_by(), MISSING, "signers", "0 of the 2 signers needed"),
    "100,000 brackets": Attack(
        lasting(replaced(STATEMENT_FILE, b"[" * 100_000)), REFUSED, "bytes", "release.statement",
    ),
    "100,000 brackets that were signed": Attack(
        lasting(replaced(STATEMENT_FILE, sealed(b"[" * 100_000, ["sam", "sara"]))),
        REFUSED, "bytes", "release.statement",
    ),
}  # fmt: skip

# 10 and 11: names.


def named(name: str) -> Release:
    """Return a release whose signers signed an artifact of this name."""
    return with_statement(lambda table: table["subject"][0].update(name=name))


NAMES = {
    "..": "..", "upwards": "../demo-1.0.tar.gz", "absolute": "/etc/passwd", "newline": "a\nb",
    "ESC": "a\x1b[2Jb", "right to left": "a\u202eb", "leading dash": "-rf",
    "look-alike": "dem\u043e-1.0.tar.gz", "empty": "", "NUL": "a\0b", "backslash": "a\\b",
    "very long": "x" * 100_000,
}  # fmt: skip

TWICE = {
    "in the statement": Attack(
        with_statement(
            lambda table: table["subject"].append(
                {"digest": {"sha256": EVIL.artifacts[0].sha256}, "name": NAME}
            )
        ),
        REFUSED, "bytes", "named twice",
    ),
    "in the statement's JSON": Attack(
        lasting(replaced(STATEMENT_FILE, sealed(
            payload().replace(b'"digest":{', b'"digest":{"sha256":"%b",' % (b"e" * 64)),
            ["sam", "sara"],
        ))),
        REFUSED, "bytes", "release.statement",
    ),
    "in the fingerprint": Attack(
        replace(
            lasting(),
            fingerprint=make_fingerprint(),
            change_files=replaced(
                "linux.fingerprint.json",
                make_fingerprint().to_bytes().replace(b'"mode"', b'"mode":"0755","mode"'),
            ),
        ),
        REFUSED, "fingerprint", "not the fingerprint the signers named",
    ),
    "in a link": Attack(
        lasting(replaced(B_BUILD, sealed(
            changed_payload().replace(b'"products":{', b'"products":{"a":{"sha256":"e"},"a":'
                                      b'{"sha256":"e"},'),
            ["builder-b"],
        ))),
        MISSING, "builders", B_BUILD,
    ),
}  # fmt: skip

# 14: OpenPGP.

BOB = b"x\n[GNUPG:] GOODSIG " + PRIMARY.fingerprint.encode() + b" <t@example.org>"
"""A user ID that looks like what gpg says."""
CLEARTEXT = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nhi\n"
_SHOUTING = packet(6, STRANGER.body) + packet(13, BOB) + certification(STRANGER, user_id=BOB)
_GOOD = simple(PRIMARY)


def by_stranger() -> bytes:
    """Return a stranger's signature over the statement."""
    return detached(STRANGER, pae(INTOTO_PAYLOAD, payload()))


OPENPGP = {
    "expired": Attack(
        pgp_signer(simple(PRIMARY, lasts(5 * DAY)), over_statement()),
        REFUSED, "signers", "key has expired",
    ),
    "revoked": Attack(
        pgp_signer(revoked_primary(), over_statement()), REFUSED, "signers", "key is revoked",
    ),
    "SHA-1": Attack(
        pgp_signer(_GOOD, over_statement(hash_number=2)), REFUSED, "signers", "petra",
    ),
    "text mode": Attack(
        pgp_signer(_GOOD, over_statement(kind=0x01)), REFUSED, "signers", "not over binary data",
    ),
    "cleartext": Attack(pgp_signer(_GOOD, CLEARTEXT), REFUSED, "signers", "petra"),
    "two signatures, one bad": Attack(
        pgp_signer(_GOOD, over_statement() + over_statement(b"other")),
        REFUSED, "signers", "more than one signature",
    ),
    "before its key was made": Attack(
        pgp_signer(_GOOD, over_statement(created=CREATED - DAY)),
        REFUSED, "signers", "older than its key",
    ),
    "over other bytes": Attack(
        pgp_signer(_GOOD, over_statement(b"other")), REFUSED, "signers", "petra",
    ),
    "a stranger whose user ID imitates a status line": Attack(
        pgp_signer(_GOOD, by_stranger()), REFUSED, "signers", "petra",
    ),
    "a key whose user ID imitates a status line": Attack(
        pgp_signer(_SHOUTING, over_statement()), MISSING, "signers", "1 of the 2 signers needed",
    ),
    "a keyring polluted with a stranger's key": Attack(
        pgp_signer(_GOOD + _SHOUTING, by_stranger()), REFUSED, "root", "certificate",
    ),
}  # fmt: skip

# 15: weak Ed25519 keys.

WEAK_KEYS = {
    **SMALL_ORDER,
    "not canonical": (PRIME + 1).to_bytes(32, "little"),
    "not on the curve": (2).to_bytes(32, "little"),
}


def with_weak(role: str, raw: bytes) -> Release:
    """Return a release under a root that enrols a weak key."""
    weak = msgspec.structs.replace(
        make_root().members[0], name="weak", operator="weak", roles=(role,),
        key=Ed25519Key(public=raw.hex()),
    )  # fmt: skip
    return with_root(members=members(weak))


# 23: forks.

FORKS = {
    "a fork's root, upstream's evidence": Attack(
        with_root(project="demo-fork"), REFUSED, "bytes", "a release of another project",
    ),
    "a root of the same name with the fork's own people": Attack(
        with_root(members=tuple(
            msgspec.structs.replace(
                m, key=member(f"fork-{m.name}", m.operator, m.organisation, m.roles[0]).key
            )
            for m in make_root().members
        )),
        MISSING, "root", "signed by 0 of its own owners",
    ),
    "a look-alike in another case": Attack(
        with_root(project="Demo"), REFUSED, "bytes", "a release of another project",
    ),
    "a look-alike in another script": Attack(
        with_root(project="dem\u043e"), REFUSED, "root", "x-relsign",
    ),
    "upstream's links under the fork's name": Attack(
        with_statement(lambda table: table["predicate"].update(project="demo-fork")),
        REFUSED, "bytes", "another project",
    ),
}  # fmt: skip
