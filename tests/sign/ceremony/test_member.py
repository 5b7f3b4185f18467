"""A participant on a machine: seeds on disk, messages in a folder, visits that are cut off."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from nacl.bindings import crypto_sign_open

from relsign.crypto.openpgp_make import revoked
from relsign.crypto.sealing import receiver_key
from relsign.errors import HostError
from relsign.formats.charter import Group
from relsign.formats.envelope import pae, parse_envelope
from relsign.formats.signing import (
    SIGNING_PAYLOAD,
    Commitments,
    SignatureShares,
    parse_signing_message,
)
from relsign.sign.ceremony.member import Member, Privacy, Visit, look, take_part
from relsign.sign.ceremony.requests import (
    certificate_session,
    layout_session,
    revocation_session,
)
from relsign.sign.ceremony.session import Session
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Exchange, Identity, Received
from relsign.sign.exchanges.remembering import RememberingExchange
from relsign.sign.groups.nonces import NonceStore
from tests.sign.ceremony.signers import NOW, deal_group, demo_session, identity_of, raw_public

NAMES = ("alice", "bob", "carol")


def make_members(folder: Path, threshold: int = 2) -> tuple[Group, dict[str, Member]]:
    group, shares = deal_group(NAMES, threshold)
    board = folder / "exchange"
    board.mkdir()
    members = {}
    for name in NAMES:
        key = identity_of(name)
        identity = Identity(keyid="ab" * 4, public=raw_public(key), sign=key.sign)
        nonces = NonceStore(folder / name / "nonces")
        (folder / name).mkdir(mode=0o700)
        members[name] = Member(name, identity, shares[name], nonces, DirectoryExchange(board))
    return group, members


def visit_in_turn(
    members: dict[str, Member], session: Session, *names: str, **options: Privacy
) -> Visit:
    visits = [take_part(members[name], session, **options) for name in names]  # type: ignore[arg-type]
    return visits[-1]


@dataclass
class FailingExchange:
    """Takes a number of messages, then the line is cut."""

    inner: Exchange
    takes: int

    def put(self, topic: str, message: bytes) -> None:
        if self.takes == 0:
            raise HostError("the line is cut")
        self.takes -= 1
        self.inner.put(topic, message)

    def messages(self, topic: str) -> Received:
        return self.inner.messages(topic)


def test_two_of_three_sign_through_a_folder(tmp_path: Path) -> None:
    group, members = make_members(tmp_path)
    session = demo_session(group)
    first = take_part(members["alice"], session)
    assert [move.kind for move in first.did] == ["commit"]
    assert first.last.awaiting == ("bob", "carol")
    done = visit_in_turn(members, session, "carol", "alice", "carol")
    message = pae("t", b"statement")
    assert crypto_sign_open(done.outputs["statement"] + message, bytes.fromhex(group.key))
    again = take_part(members["bob"], session)
    assert not again.did
    assert again.outputs == done.outputs


def test_a_visit_repeated_says_nothing_new(tmp_path: Path) -> None:
    group, members = make_members(tmp_path)
    session = demo_session(group)
    board = tmp_path / "exchange" / session.session_id
    for _time in range(3):
        take_part(members["alice"], session)
        assert len(list(board.iterdir())) == 1


@pytest.mark.parametrize("takes", range(5))
def test_a_cut_line_costs_nothing(tmp_path: Path, takes: int) -> None:
    """What could not be published goes out with the next visit."""
    group, members = make_members(tmp_path)
    session = demo_session(group)
    line = FailingExchange(members["alice"].exchange, takes)
    own = tmp_path / "heard"
    own.mkdir()
    kept = RememberingExchange(line, DirectoryExchange(own), lambda _message: True)
    cut = replace(members["alice"], exchange=kept)
    for _turn in range(8):
        take_part(members["bob"], session)
        try:
            take_part(cut, session)
        except HostError:
            line.takes = 1
    stands, _ignored = look(members["carol"], session)
    assert stands.finished is not None
    assert not stands.culprits
    assert stands.attempt == 1


def private_keys(session: Session) -> dict[str, Privacy]:
    keys = {name: receiver_key(hashlib.sha256(name.encode()).digest()) for name in NAMES}
    receivers = {name: bytes(key.public) for name, key in keys.items()}
    assert session.request.kind == "revocation"
    return {
        name: Privacy(receivers, dict.fromkeys(NAMES, keys[name]), secrets.token_bytes)
        for name in NAMES
    }


def test_a_revocation_is_for_participants_only(tmp_path: Path) -> None:
    """Every participant can make it from the messages; who only reads them cannot."""
    group, members = make_members(tmp_path)
    certificate_of = certificate_session(group, NOW + timedelta(days=365))
    visit_in_turn(members, certificate_of, "alice", "bob", "alice")
    certificate = take_part(members["carol"], certificate_of).outputs["certificate"]

    session = revocation_session(group)
    keys = private_keys(session)
    for name in ("alice", "bob", "alice"):
        take_part(members[name], session, privacy=keys[name])
    revocation = take_part(members["carol"], session, privacy=keys["carol"]).outputs["revocation"]
    assert revoked(certificate, revocation) != certificate
    stands, _ignored = look(members["carol"], session)
    assert stands.finished is None
    shares = [m for m in sent_in(tmp_path, session) if isinstance(m, SignatureShares)]
    assert len(shares) == 2
    assert all(not message.shares and set(message.sealed) == set(NAMES) for message in shares)


def sent_in(folder: Path, session: Session) -> list[Commitments | SignatureShares]:
    """Return what anybody who reads the exchange can parse."""
    files = sorted((folder / "exchange" / session.session_id).iterdir())
    envelopes = [
        parse_envelope(file.read_bytes(), file.name, payload_type=SIGNING_PAYLOAD) for file in files
    ]
    return [parse_signing_message(envelope.payload) for envelope in envelopes]


def test_a_box_for_somebody_else_is_no_share(tmp_path: Path) -> None:
    group, members = make_members(tmp_path)
    session = revocation_session(group)
    keys = private_keys(session)
    swapped = {"alice": keys["alice"].receivers["bob"], "bob": keys["bob"].receivers["alice"],
               "carol": keys["carol"].receivers["carol"]}  # fmt: skip
    wrong = replace(keys["bob"], receivers=swapped)
    take_part(members["alice"], session, privacy=keys["alice"])
    take_part(members["bob"], session, privacy=wrong)
    visit = take_part(members["alice"], session, privacy=keys["alice"])
    assert visit.stands.culprits == ("bob",)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    _group, members = make_members(tmp_path)
    alice = members["alice"]
    secret = alice.share.secret.hex()
    assert secret not in repr(alice)
    assert repr(bytes.fromhex(secret))[2:-1] not in repr(alice)


def test_requests_differ_where_anything_does() -> None:
    group, _shares = deal_group(NAMES, 2)
    other, _shares = deal_group(NAMES, 3)
    day = NOW + timedelta(days=1)
    sessions = (
        certificate_session(group, day),
        certificate_session(group, NOW + timedelta(days=2)),
        certificate_session(other, day),
        revocation_session(group),
        layout_session(group, b"layout", day),
        layout_session(group, b"another", day),
        layout_session(group, b"layout", NOW),
    )
    assert len({session.session_id for session in sessions}) == len(sessions)
    again = layout_session(group, b"layout", day)
    assert again.session_id == sessions[4].session_id


def test_the_bytes_themselves_are_in_a_request() -> None:
    """Of two certificates that differ in nothing else but the bytes to be signed."""
    group, _shares = deal_group(NAMES, 2)
    renamed = msgspec.structs.replace(group, user_id="Somebody else <x@example.invalid>")
    day = NOW + timedelta(days=1)
    one, two = certificate_session(group, day).request, certificate_session(renamed, day).request
    assert one.messages != two.messages
    assert one.subject == two.subject
