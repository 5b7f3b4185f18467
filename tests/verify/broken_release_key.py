"""Broken releases of a project with a release key: each row as in `tests.verify.broken`."""

from __future__ import annotations

from collections.abc import Callable

from relsign.crypto.keys import Ed25519Public
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae
from relsign.verify.verdict import Outcome
from tests.verify.broken import Files, envelope_of, replaced, statement_payload
from tests.verify.releases import (
    Release,
    group_member,
    group_root,
    make_root,
    secret,
    sign_by,
    signature_by,
    with_members,
)


def signed_by(people: tuple[str, ...], *others: Signature) -> Callable[[Files], Files]:
    """Let these people sign the statement, and add signatures that are as they are."""
    payload = statement_payload()
    own = tuple(signature_by(name, payload) for name in people)
    return replaced(STATEMENT_FILE, envelope_of(STATEMENT_FILE, (*own, *others)))


def keyid_of(name: str) -> str:
    """Return the keyid of anybody's Ed25519 key, member or not."""
    return Ed25519Public(secret(name).verify_key.encode()).keyid


BROKEN_RELEASE_KEY: dict[str, tuple[Release, str, Outcome, str]] = {
    # 3 signers, and the release key where the root has one
    "the release key has not signed": (
        Release(root=group_root()),
        "signers",
        Outcome.MISSING,
        "the release key team has not signed",
    ),
    "the release key has not signed, though asked for in words": (
        Release(root=group_root(release_key="required")),
        "signers",
        Outcome.MISSING,
        "the release key team has not signed",
    ),
    "every signer signed, and the release key has not": (
        Release(root=group_root(), signers=("sam", "sara", "sven")),
        "signers",
        Outcome.MISSING,
        "the release key team has not signed",
    ),
    "the release key in the place of a signer": (
        Release(root=group_root(), signers=("sam", "team")),
        "signers",
        Outcome.MISSING,
        "1 of the 2 signers",
    ),
    "the release key in the place of a signer, optional": (
        Release(root=group_root(release_key="optional"), signers=("sam", "team")),
        "signers",
        Outcome.MISSING,
        "1 of the 2 signers",
    ),
    "another group signed": (
        Release(root=group_root(), signers=("sam", "sara", "other-team")),
        "signers",
        Outcome.MISSING,
        "the release key team has not signed",
    ),
    "an owner group signed, which is not the release key": (
        Release(
            root=with_members(group_member(), group_member("board", roles=("owner",))),
            signers=("sam", "sara", "board"),
        ),
        "signers",
        Outcome.MISSING,
        "the release key team has not signed",
    ),
    "another group signed under the release key's label": (
        Release(
            root=group_root(),
            change_files=signed_by(
                ("sam", "sara"),
                Signature(
                    keyid=keyid_of("team"),
                    sig=sign_by("other-team", pae(INTOTO_PAYLOAD, statement_payload())),
                ),
            ),
        ),
        "signers",
        Outcome.REFUSED,
        "the release key: team: signature does not verify",
    ),
    "the release key signed another statement": (
        Release(
            root=group_root(),
            change_files=signed_by(("sam", "sara"), signature_by("team", b"other bytes")),
        ),
        "signers",
        Outcome.REFUSED,
        "the release key: team: signature does not verify",
    ),
    "the release key signed without PAE": (
        Release(
            root=group_root(),
            change_files=signed_by(
                ("sam", "sara"),
                Signature(keyid=keyid_of("team"), sig=sign_by("team", statement_payload())),
            ),
        ),
        "signers",
        Outcome.REFUSED,
        "the release key: team",
    ),
    "the release key's signature is false, and signers are missing": (
        Release(
            root=group_root(),
            change_files=signed_by(("sam",), signature_by("team", b"other bytes")),
        ),
        "signers",
        Outcome.REFUSED,
        "1 of the 2 signers needed; team",
    ),
    "root: the release key is a signer's too": (
        Release(root=with_members(group_member(key_of="sam")), signers=("sam", "sara")),
        "root",
        Outcome.REFUSED,
        "one key under two names",
    ),
    "root: a release key is required, and there is none": (
        Release(root=make_root(release_key="required")),
        "root",
        Outcome.REFUSED,
        "nobody holds the role release",
    ),
    "root: a group of people who are no members": (
        Release(root=with_members(group_member(participants=("sam", "stranger")))),
        "root",
        Outcome.REFUSED,
        "a participant is no member (got stranger)",
    ),
    "root: an owner counts twice through a group": (
        Release(
            root=with_members(group_member(participants=("olga", "sam"), roles=("owner",))),
        ),
        "root",
        Outcome.REFUSED,
        "olga would count as two owners",
    ),
    "root: signed by one owner, and by too few of a group of owners": (
        Release(
            root=with_members(group_member(roles=("owner",))),
            root_signers=("olga", "sam", "sara"),
        ),
        "root",
        Outcome.MISSING,
        "signed by 1 of its own owners (need 2)",
    ),
}
