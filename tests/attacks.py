"""Attacks that are one release each: what is sent, and what must be said.

By the number of the line in the project's list of attacks, here 1 to 8: who counts, and
for which release.  `tests/test_attacks.py` takes each through the decision and through
the program; the rest of them stand in `tests/attacks_on_form.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae, parse_envelope
from relsign.formats.layout import Layout
from relsign.formats.link import ReleaseBinding, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.roster import Ed25519Key, Member, OpenPGPKey
from relsign.formats.statement import PreviousRelease
from relsign.verify.verdict import Word
from tests.crypto.openpgp_cases import PRIMARY, SUBKEY
from tests.crypto.openpgp_maker import (
    binding,
    detached,
    packet,
    simple,
)
from tests.hostile.downloads import FAR_AHEAD, LONG_AGO, Files, lasting
from tests.hostile.mutate import canonical
from tests.hostile.pgp_release import petra
from tests.verify.broken import OTHER, added, keyid, replaced, statement_with
from tests.verify.releases import (
    NAME,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    member,
    root_of,
    sealed,
    sign_by,
    signature_by,
)

REFUSED, MISSING = Word.REFUSED, Word.NOT_ENOUGH
EVIL = OTHER
EVIL_IN_HAND: dict[str, str] = {NAME: EVIL.artifacts[0].sha256}
MIB = 1 << 20


@dataclass(frozen=True)
class Attack:
    """A release, the verdict's word, the step that must say so, and some of its words."""

    release: Release
    word: Word
    step: str
    says: str


def payload(release: Release | None = None) -> bytes:
    """Return the statement's payload."""
    return (release or lasting()).statement().to_bytes()


def with_root(**changes: object) -> Release:
    """Return a release under a root with another policy."""
    policy = msgspec.structs.replace(make_root().policy, **changes)
    return replace(lasting(), root=root_of(policy, expires=FAR_AHEAD))


def members(*more: Member, without: str = "") -> tuple[Member, ...]:
    """Return the usual people and some more, sorted."""
    kept = [m for m in make_root().members if m.name != without]
    return tuple(sorted((*kept, *more), key=lambda m: m.name))


def with_statement(change: Callable[[dict[str, Any]], None]) -> Release:
    """Return a release whose signers signed a statement our program never makes."""
    table = json.loads(payload())
    change(table)
    return lasting(replaced(STATEMENT_FILE, sealed(canonical(table), ["sam", "sara"])))


def signed_by(*signatures: Signature, kind: str = INTOTO_PAYLOAD) -> Release:
    """Return a release whose statement bears these signatures."""
    envelope = Envelope(payload=payload(), payload_type=kind, signatures=signatures)
    return lasting(replaced(STATEMENT_FILE, envelope.to_bytes()))


def statement_text(change: Callable[[bytes], bytes]) -> Release:
    """Return a release whose statement's envelope is written otherwise."""
    return lasting(lambda files: {**files, STATEMENT_FILE: change(files[STATEMENT_FILE])})


def two_builds(files: Files) -> Files:
    """Return evidence in which the links are of another build than fingerprint and statement."""
    kept = {name: data for name, data in files.items() if not name.endswith(".link")}
    return kept | link_files(EVIL, "builder-a") | link_files(EVIL, "builder-b")


def other_layout(**changes: object) -> Callable[[Layout], Layout]:
    """Return a change of the layout that lasts."""
    lasts_long: dict[str, object] = {"expires": FAR_AHEAD}
    return lambda layout: msgspec.structs.replace(layout, **{**lasts_long, **changes})


# 1 and 2: builders.

ONE_DIFFERS = lasting(added(link_files(EVIL, "builder-c")))

COLLUDING = {
    "one of two, alone": Attack(
        replace(lasting(), fingerprint=EVIL, builders=("builder-a",), artifacts=EVIL_IN_HAND),
        MISSING, "builders", "1 builders reported step",
    ),
    "one of two, against an honest one": Attack(
        replace(
            lasting(added(link_files(make_fingerprint(), "builder-b"))),
            fingerprint=EVIL, builders=("builder-a",), artifacts=EVIL_IN_HAND,
        ),
        REFUSED, "builders", "builders disagree at step",
    ),
    "two of one organisation": Attack(
        replace(
            lasting(), fingerprint=EVIL, builders=("builder-b", "builder-c"),
            artifacts=EVIL_IN_HAND,
        ),
        MISSING, "builders", "from 2 organisations",
    ),
    "and they sign twice": Attack(
        replace(
            lasting(
                lambda files: files | {
                    name.replace(keyid("builder-a")[:8], keyid("builder-b")[:8]): data
                    for name, data in link_files(EVIL, "builder-a").items()
                }
            ),
            fingerprint=EVIL, builders=("builder-a",), artifacts=EVIL_IN_HAND,
        ),
        MISSING, "builders", "not signed by the builder it is named after",
    ),
}  # fmt: skip

# 3 and 4: one key or one person, twice.

SAM_TWICE = (
    signature_by("sam", payload()),
    Signature(keyid="ab" * 32, sig=sign_by("sam", pae(INTOTO_PAYLOAD, payload()))),
)
TWO_SUBKEYS = simple(PRIMARY) + packet(14, SUBKEY.body) + binding(PRIMARY, SUBKEY)


def pgp_signer(certificate: bytes, *made: bytes, others: tuple[str, ...] = ("sam",)) -> Release:
    """Return a release that sam and petra sign, petra with her certificate and `made`."""
    key = OpenPGPKey(certificate=base64.b64encode(certificate).decode())
    who = msgspec.structs.replace(petra(), key=key)
    label = PRIMARY.fingerprint.lower()
    release = signed_by(
        *(signature_by(name, payload()) for name in others),
        *(Signature(keyid=label, sig=each) for each in made),
    )
    return replace(release, root=make_root(expires=FAR_AHEAD, members=members(who)))


def over_statement(message: bytes = b"", **ways: int) -> bytes:
    """Return petra's signature over the statement, made in some way."""
    signed = message or pae(INTOTO_PAYLOAD, payload())
    return detached(PRIMARY, signed, **ways)


ONE_KEY = {
    "one signature under two keyids": Attack(
        signed_by(*SAM_TWICE), MISSING, "signers", "1 of the 2 signers needed",
    ),
    "the same signature three times": Attack(
        signed_by(*SAM_TWICE[:1] * 3), MISSING, "signers", "1 of the 2 signers needed",
    ),
    "one key under two names": Attack(
        with_root(members=members(
            msgspec.structs.replace(member("sam", "sam2", "acme", "signer"), name="sam2")
        )),
        REFUSED, "root", "one key under two names",
    ),
    "two subkeys of one primary": Attack(
        pgp_signer(
            TWO_SUBKEYS, over_statement(), detached(SUBKEY, pae(INTOTO_PAYLOAD, payload())),
            others=(),
        ),
        MISSING, "signers", "1 of the 2 signers needed",
    ),
    "the key as a file and as a certificate": Attack(
        with_root(members=members(
            petra(),
            msgspec.structs.replace(
                member("twin", "twin", "acme", "signer"),
                key=Ed25519Key(public=PRIMARY.body[-32:].hex()),
            ),
        )),
        REFUSED, "root", "one key under two names",
    ),
}  # fmt: skip

ONE_PERSON = {
    "two signers' keys": Attack(
        replace(
            with_root(members=members(member("sam2", "sam", "acme", "signer"))),
            signers=("sam", "sam2"),
        ),
        MISSING, "signers", "1 of the 2 signers needed",
    ),
    "two builders' keys": Attack(
        with_root(
            members=members(
                member("builder-b", "machine-a", "acme", "builder"), without="builder-b"
            ),
            thresholds=Thresholds(owners=2, signers=2, builders=2, organisations=1),
        ),
        MISSING, "builders", "1 builders reported step source (need 2",
    ),
    "two owners' keys": Attack(
        with_root(members=members(member("olga2", "olga", "acme", "owner"))),
        REFUSED, "root", "olga holds two owner keys",
    ),
}  # fmt: skip

# 5: thresholds.


def threshold(role: str, value: object) -> Release:
    """Return a release under a root with an odd threshold."""
    thresholds = Thresholds(owners=2, signers=2, builders=2, organisations=2)
    # Past the checks of its type, as a thief's own program would write it.
    msgspec.structs.force_setattr(thresholds, role, value)
    return with_root(thresholds=thresholds)


ODD_THRESHOLDS: tuple[object, ...] = (0, -1, True, "2", 2.5, 65, None)
TOO_LARGE = {"owners": 4, "signers": 4, "builders": 4}

# 6: layouts and roots.

BEFORE = ReleaseBinding(project="demo", version="0.9")
LAYOUTS = {
    "signed by one owner of two": Attack(
        replace(lasting(), owners=("olga",)), MISSING, "layout", "1 of the 2 owners needed",
    ),
    "signed by an owner twice": Attack(
        lasting(lambda files: {**files, LAYOUT_FILE: twice_signed(files[LAYOUT_FILE])}),
        MISSING, "layout", "1 of the 2 owners needed",
    ),
    "expired": Attack(
        replace(lasting(), change_layout=other_layout(expires=LONG_AGO)),
        REFUSED, "layout", "the layout has expired",
    ),
    "of an older release": Attack(
        replace(
            lasting(),
            change_layout=lambda layout: other_layout()(
                msgspec.json.decode(
                    layout.to_bytes().replace(b"Release 1.0 of", b"Release 0.9 of")
                    .replace(b"demo-1.0.relsign", b"demo-0.9.relsign"),
                    type=Layout,
                )
            ),
        ),
        REFUSED, "layout", "a layout of another release",
    ),
    "another than the signers named": Attack(
        replace(lasting(), change_statement=statement_with(layout_sha256=Digest("5" * 64))),
        REFUSED, "layout", "not the layout the signers named",
    ),
    "a root that has expired": Attack(
        replace(lasting(), root=make_root(expires=LONG_AGO)),
        REFUSED, "root", "the trust root has expired",
    ),
}  # fmt: skip


def twice_signed(data: bytes) -> bytes:
    """Return the layout, signed by olga under two labels."""
    envelope = parse_envelope(data, LAYOUT_FILE)
    mine = signature_by("olga", envelope.payload)
    return Envelope(
        payload=envelope.payload, payload_type=INTOTO_PAYLOAD,
        signatures=(mine, Signature(keyid=keyid("oona"), sig=mine.sig)),
    ).to_bytes()  # fmt: skip


# 7 and 8: replays and mixtures.

B_SOURCE, B_BUILD = (link_file_name(step, keyid("builder-b")) for step in ("source", "build"))
REPLAYED = {
    "of an older release": Attack(
        lasting(added(changed_link("builder-b", "build", environment=BEFORE))),
        MISSING, "builders", "belongs to another release",
    ),
    "of another project": Attack(
        lasting(added(changed_link(
            "builder-b", "build", environment=ReleaseBinding(project="fork", version="1.0")
        ))),
        MISSING, "builders", "belongs to another release",
    ),
    "of another step": Attack(
        lasting(lambda files: {**files, B_BUILD: files[B_SOURCE]}),
        MISSING, "builders", "filed under another step",
    ),
    "of another builder": Attack(
        lasting(lambda files: {
            **files, B_BUILD: files[link_file_name("build", keyid("builder-a"))]
        }),
        MISSING, "builders", "not signed by the builder it is named after",
    ),
}  # fmt: skip

MIXED = {
    "links of another build": Attack(
        lasting(two_builds), REFUSED, "fingerprint", "name different files",
    ),
    "a fingerprint of another build": Attack(
        lasting(replaced("linux.fingerprint.json", EVIL.to_bytes())),
        REFUSED, "fingerprint", "not the fingerprint the signers named",
    ),
    "a statement of another build": Attack(
        replace(lasting(), change_statement=statement_with(version="0.9")),
        REFUSED, "bytes", "bundle and statement name different releases",
    ),
    "a release that follows itself": Attack(
        replace(
            lasting(), previous=PreviousRelease(version="1.0", statement_sha256=Digest("7" * 64))
        ),
        REFUSED, "revocation", "follows itself",
    ),
}  # fmt: skip


def changed_payload() -> bytes:
    """Return what builder-b's build link says."""
    return parse_envelope(lasting().files()[B_BUILD], B_BUILD).payload
