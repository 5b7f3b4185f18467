"""Who signed is found out again from the messages, and from nothing a liar adds to them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import base, scalar_of
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.signing import Commitments, NoncePair, SignatureShares
from relsign.sign.ceremony.account import Accounted, read_account, verify_account
from relsign.sign.ceremony.session import Session, outputs_of
from relsign.sign.exchanges.interface import Received
from tests.sign.ceremony.signers import Signer, make_signers, run_all, sealed

FIVE = ("alice", "bob", "carol", "dave", "erin")
BOTH = frozenset({"alice", "bob"})
People = dict[str, Signer]
Board = list[bytes]


def signed(seed: int = 1) -> tuple[Session, People, Board]:
    """Return a session that alice and bob signed, to which carol only committed."""
    session, people = make_signers(FIVE[:3], 2, seed)
    board: Board = []
    run_all(people, ["bob"], board=board)
    late = people["carol"].send(people["carol"].commitments(1))
    run_all(people, ["alice", "bob", "alice"], board=board)
    return session, people, [*board, late]


def heard(board: Board) -> Received:
    return Received(tuple(board))


def made_by(session: Session, people: People, board: Board) -> dict[str, bytes]:
    people["alice"].inbox = list(board)
    finished = people["alice"].stands().finished
    assert finished is not None
    return outputs_of(session, finished)


def account(board: Board, seed: int = 1, own: frozenset[str] = BOTH) -> Accounted:
    """Return the account of what alice and bob signed, told from another board."""
    session, people, honest = signed(seed)
    return verify_account(session, heard(board), made_by(session, people, honest), own)


def test_who_signed_and_who_only_committed() -> None:
    _session, _people, board = signed()
    found = account(board)
    assert found.names == ("alice", "bob")
    assert found.files == 2
    assert found.account.committed == ("alice", "bob", "carol")
    assert (found.account.culprits, found.account.ignored) == ((), ())
    assert [(each.attempt, dict(each.holding)) for each in found.sets] == [
        (1, {2: ("alice", "bob"), 3: ("alice", "bob")})
    ]
    # In any order, and twice.
    assert account([*reversed(board), *board]) == found


def spoilt(data: bytes) -> bytes:
    return data.replace(b'"sig":"', b'"sig":"AAAA', 1)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("change", [None, spoilt], ids=["missing", "tampered"])
def test_every_message_of_those_who_signed_is_needed(
    number: int, change: Callable[[bytes], bytes] | None
) -> None:
    _session, _people, board = signed()
    data = board[number]
    rest = [m for m in board if m != data] + ([change(data)] if change else [])
    with pytest.raises(NotEnoughError, match="messages of the signing are missing"):
        account(rest)


def test_what_is_added_takes_nothing_away() -> None:
    _session, _people, board = signed()
    _other, _others, foreign = signed(seed=2)
    junk = [b"{}", spoilt(board[0]), *foreign[:1]]
    found = account([*board, *junk])
    assert found.names == ("alice", "bob")
    assert len(found.account.ignored) == 2
    # From the same people, in the same session, with other nonces: one of them lies.
    assert found.account.culprits != ()


def test_whoever_says_something_else_later_is_named_and_stays_accountable() -> None:
    _session, people, board = signed()
    bob = people["bob"]
    bob.seeds.clear()
    second = bob.send(bob.commitments(1))
    found = account([*board, second])
    assert found.names == ("alice", "bob")
    assert found.account.culprits == ("bob",)


def test_a_signature_of_another_session_is_nobodys_here() -> None:
    session, people, board = signed()
    _other, others, foreign = signed(seed=2)
    made = made_by(session, people, board)
    theirs = made_by(session, others, foreign)
    for name in made:
        assert made[name] != theirs[name]
        with pytest.raises(VerificationError, match="nobody of this session made") as caught:
            verify_account(session, heard(board), {**made, name: theirs[name]}, BOTH)
        assert caught.value.where == name


@pytest.mark.parametrize("name", ["statement", "minisig"])
def test_a_signature_that_is_not_there(name: str) -> None:
    session, people, board = signed()
    made = made_by(session, people, board)
    del made[name]
    with pytest.raises(NotEnoughError, match="signature is not there"):
        verify_account(session, heard(board), made, BOTH)


@pytest.mark.parametrize("own", [frozenset(), {"alice"}, {"alice", "carol"}])
def test_nobody_signs_with_the_group_alone(own: frozenset[str]) -> None:
    _session, _people, board = signed()
    with pytest.raises(NotEnoughError, match="has a part in the group's signature"):
        account(board, own=frozenset(own))


def test_two_sets_that_both_made_it() -> None:
    """Of five, two pairs may sign at once; each signature has its own people."""
    session, people = make_signers(FIVE[:4], 2)
    boards: list[Board] = [[], []]
    for board, pair in zip(boards, (["alice", "bob"], ["carol", "dave"]), strict=True):
        run_all(people, pair * 3, board=board)
    board = boards[0] + boards[1]
    first, second = (each.outputs for each in read_account(session, heard(board)).sets)
    assert first != second
    everybody = frozenset(FIVE)
    assert verify_account(session, heard(board), first, everybody).names == ("alice", "bob")
    assert verify_account(session, heard(board), second, everybody).names == ("carol", "dave")
    mixed = {**first, "minisig": second["minisig"]}
    assert verify_account(session, heard(board), mixed, everybody).names == FIVE[:4]


def wrong_number(message: SignatureShares) -> SignatureShares:
    return msgspec.structs.replace(
        message, shares={slot: Digest(f"{5:02x}" + "00" * 31) for slot in message.shares}
    )


def no_number(message: SignatureShares) -> SignatureShares:
    return msgspec.structs.replace(message, shares={})


def not_a_scalar(message: SignatureShares) -> SignatureShares:
    return msgspec.structs.replace(
        message, shares={slot: Digest("ff" * 32) for slot in message.shares}
    )


@pytest.mark.parametrize("lie", [wrong_number, no_number, not_a_scalar])
def test_a_lying_share_is_named(lie: Callable[[SignatureShares], SignatureShares]) -> None:
    session, people = make_signers(FIVE[:3], 2)
    people["bob"].change = lie
    board: Board = []
    run_all(people, ["bob", "alice", "bob", "alice", "carol", "alice", "carol"], board=board)
    found = read_account(session, heard(board))
    assert found.culprits == ("bob",)
    assert [each.names for each in found.sets if each.outputs] == [("alice", "carol")]


def commitments_of(
    session: Session, name: str, pair: tuple[bytes, bytes], slots: tuple[str, ...]
) -> Commitments:
    points = NoncePair(hiding=Digest(pair[0].hex()), binding=Digest(pair[1].hex()))
    return Commitments(
        session=session.session_id, attempt=1, sender=name, nonces=dict.fromkeys(slots, points)
    )


GOOD = base(scalar_of(7))


@pytest.mark.parametrize(
    ("pair", "slots"),
    [
        ((b"\x00" * 32, GOOD), ("statement", "minisign.1", "minisign.2")),
        ((GOOD, b"\xff" * 32), ("statement", "minisign.1", "minisign.2")),
        ((GOOD, GOOD), ("statement",)),
    ],
    ids=["small order", "no point", "slots are missing"],
)
def test_commitments_that_cannot_be_used_blame_nobody_else(
    pair: tuple[bytes, bytes], slots: tuple[str, ...]
) -> None:
    session, people = make_signers(FIVE[:3], 2)
    board: Board = []
    run_all(people, ["alice"], board=board)
    bad = commitments_of(session, "bob", pair, slots)
    said = answer_to(session, people["alice"], bad)
    found = read_account(session, heard([*board, sealed(bad, "bob"), sealed(said, "alice")]))
    assert (found.sets, found.culprits) == ((), ())
    assert found.committed == ("alice", "bob")


def answer_to(session: Session, signer: Signer, other: Commitments) -> SignatureShares:
    """Return an answer of `signer` that names somebody's commitments."""
    own = signer.commitments(1)
    digests = {m.sender: sha256_hex(m.to_bytes()) for m in (own, other)}
    return SignatureShares(
        session=session.session_id, attempt=1, sender=signer.name, round=2, signers=digests,
        shares={"statement": Digest("05" + "00" * 31), "minisign.1": Digest("05" + "00" * 31)},
        sealed={},
    )  # fmt: skip
