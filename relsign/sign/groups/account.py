"""The account of a release that a group signed: who did, checked again on this machine.

Messages lie in release/PROJECT-VERSION/ceremony/, the signatures beside them.  What was
signed is made again from the statement; who may have signed follows from the group's
ceremonies (`relsign.sign.groups.history`) and the trust root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.keys import Ed25519Public, GroupPublic, Party
from relsign.crypto.signatures import verify_envelope
from relsign.errors import NotEnoughError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.charter import Group
from relsign.formats.envelope import Envelope
from relsign.formats.statement import parse_statement
from relsign.sign.ceremony.account import ASK, Accounted, verify_account
from relsign.sign.ceremony.requests import STATEMENT
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Received
from relsign.sign.groups.history import verify_history
from relsign.sign.groups.parcels import release_party
from relsign.sign.groups.release import GroupSigning, group_signing
from relsign.sign.merge import good_signatures
from relsign.sign.places import check_release_folder, is_real_folder
from relsign.sign.release import read_statement
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class ReleaseAccount:
    """Who signed a release with a group's key."""

    signing: GroupSigning
    accounted: Accounted

    @property
    def lines(self) -> tuple[str, ...]:
        """Return what was found, for people."""
        account, release = self.accounted.account, self.signing.release
        people = ", ".join(self.accounted.names)
        committed = ", ".join(account.committed)
        sets = [
            f"✓ {', '.join(each.names)}: all shares hold (attempt {each.attempt})"
            for each in self.accounted.sets
        ]
        return (
            *(f"  ignored: {line}" for line in account.ignored),
            f"✓ session {account.session[:16]}: {release.project} {release.version}",
            f"✓ committed: {committed}",
            *sets,
            f"✓ {self.accounted.files} signatures here are the ones they made",
            f"✓ each signed the statement under an own name too: {people}",
            *(f"  CULPRIT: {name} also sent what does not hold" for name in account.culprits),
        )


def verify_release_account(
    workspace: Workspace, root: TrustedRoot, name: str, now: datetime
) -> ReleaseAccount:
    """Check who signed the release in the making with the key of the group called `name`.

    (1) the group's ceremonies hold, and one of its documents is that of the messages;
    (2) the signatures here are those its people made (`verify_account`); (3) each of them
    has a valid signature over the statement under the identity key of the group, as the
    root knows it.  Raises VerificationError for what contradicts, NotEnoughError for what
    is missing, InputError where there is no statement or no such group.
    """
    release, party = workspace.release(), release_party(root, name)
    check_release_folder(release)
    envelope = read_statement(release)
    if envelope is None:
        raise NotEnoughError(
            "nobody signed this release yet", where=os.fspath(release.statement_file)
        )
    signing, received = _session_kept(workspace, root, party, envelope)  # (1)
    made = dict(_made(signing, envelope, now))
    own = _own_signers(signing.session.group, root, envelope, now)
    accounted = verify_account(signing.session, received, made, own)  # (2), (3)
    return ReleaseAccount(signing, accounted)


def _session_kept(
    workspace: Workspace, root: TrustedRoot, party: Party, envelope: Envelope
) -> tuple[GroupSigning, Received]:
    """Return the session whose messages are kept, under whatever shares it was signed with."""
    statement = parse_statement(envelope.payload, STATEMENT_FILE)
    for group in reversed(verify_history(workspace, party.name).groups):
        if not isinstance(party.key, GroupPublic) or group.key != party.key.raw.hex():
            continue
        signing = group_signing(workspace, root, party, group, statement)
        kept = _kept(signing.release, signing.session.session_id)
        if kept.messages:
            return signing, kept
    raise NotEnoughError(
        "no messages of this signing are kept here",
        where=os.fspath(workspace.release().ceremony),
        hint=ASK,
    )


def _kept(release: ReleaseFolder, session: str) -> Received:
    if not is_real_folder(release.ceremony):
        return Received(())
    return DirectoryExchange(release.ceremony).messages(session)


def _made(signing: GroupSigning, envelope: Envelope, now: datetime) -> Iterator[tuple[str, bytes]]:
    """Yield the group's signatures as they lie in the release folder."""
    for output in signing.session.outputs:
        if output.name == STATEMENT:
            for signature in good_signatures(envelope, (signing.party,), now).values():
                yield STATEMENT, signature.sig
            continue
        try:
            data = read_bounded(signing.release.signatures / output.name, MAX_BUNDLE_BYTES)
        except NotEnoughError:
            continue
        yield output.name, data


def _own_signers(
    group: Group, root: TrustedRoot, envelope: Envelope, now: datetime
) -> frozenset[str]:
    """Return who of a group signed an envelope, with the very key of the group's document."""
    identities = group.identities()
    valid = verify_envelope(envelope, root.having("signer"), now).valid
    return frozenset(
        party.name
        for party in valid
        if isinstance(party.key, Ed25519Public) and identities.get(party.name) == party.key.raw
    )
