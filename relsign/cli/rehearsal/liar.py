"""A participant who answers with numbers that are no share of a signature."""

from __future__ import annotations

from pathlib import Path

from relsign.cli.rehearsal.stage import WentOtherwiseError
from relsign.formats.envelope import parse_envelope
from relsign.formats.names import Digest
from relsign.formats.signing import (
    SIGNING_PAYLOAD,
    SignatureShares,
    parse_signing_message,
)
from relsign.formats.statement import parse_statement
from relsign.sign.ceremony.hearing import hear
from relsign.sign.ceremony.member import seal_message
from relsign.sign.ceremony.outputs import rounds
from relsign.sign.ceremony.session import FIRST_ROUND, Session, standing
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Identity
from relsign.sign.groups.people import identity_party
from relsign.sign.groups.release import group_signing
from relsign.sign.groups.shares import read_group
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.rules.root import current_root
from relsign.system.clock import now_utc
from relsign.system.files import read_bounded
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace

FIVE = Digest("05" + "00" * 31)
"""A number like any other, and nobody's share."""


def send_false_share(workspace: Workspace, keys: Path, name: str, passphrase: bytes) -> None:
    """Answer in `name`, who committed before, with shares that do not hold.

    Raises WentOtherwiseError where nobody chose `name` to sign.
    """
    session = _session(workspace)
    exchange = DirectoryExchange(workspace.release().ceremony)
    heard = hear(
        exchange.messages(session.session_id).messages,
        SIGNING_PAYLOAD,
        parse_signing_message,
        session.group.identities(),
        session.place,
    )
    chosen = [p for p in standing(session, heard).packages if name in p.names]
    if not chosen:
        raise WentOtherwiseError(f"nobody chose {name} to sign")
    message = SignatureShares(
        session=session.session_id,
        attempt=chosen[0].attempt,
        sender=name,
        round=FIRST_ROUND,
        signers=dict(chosen[0].signers),  # type: ignore[arg-type]  # digests, as text
        shares=dict.fromkeys(rounds(session.outputs)[FIRST_ROUND], FIVE),
        sealed={},
    )
    signer = KeyStore(keys).open(name, passphrase)
    identity = Identity(identity_party(workspace, name).keyid, signer.public.data, signer.sign)
    envelope = seal_message(message.to_bytes(), SIGNING_PAYLOAD, identity)
    exchange.put(session.session_id, envelope)


def _session(workspace: Workspace) -> Session:
    release, root = workspace.release(), current_root(workspace, now_utc())
    (party,) = root.having("release")
    envelope = parse_envelope(read_bounded(release.statement_file, MAX_TEXT_BYTES), "statement")
    statement = parse_statement(envelope.payload)
    group = read_group(workspace, root, party)
    return group_signing(workspace, root, party, group, statement).session
