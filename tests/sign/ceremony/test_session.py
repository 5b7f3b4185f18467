"""A group signs: everybody alone, in any order, hearing what has arrived."""

from __future__ import annotations

import hashlib
import random

import msgspec
import pytest
from nacl.bindings import crypto_sign_open

from relsign.crypto.minisign import verify_file
from relsign.formats.envelope import pae
from relsign.formats.names import Digest
from relsign.formats.signing import NoncePair, SignatureShares
from relsign.sign.ceremony.session import Session, Standing, outputs_of
from tests.sign.ceremony.signers import (
    MANIFEST,
    Signer,
    deal_group,
    demo_session,
    make_signers,
    run_all,
    sealed,
)

FIVE = ("alice", "bob", "carol", "dave", "erin")


def check_outputs(session: Session, stands: Standing) -> None:
    assert stands.finished is not None
    made = outputs_of(session, stands.finished)
    key = bytes.fromhex(session.group.key)
    message = pae("t", b"statement")
    assert crypto_sign_open(made["statement"] + message, key) == message
    verify_file(key, made["minisig"], hashlib.blake2b(MANIFEST).digest(), "made")


@pytest.mark.parametrize(("names", "threshold"), [(FIVE[:2], 2), (FIVE[:3], 2), (FIVE, 3)])
def test_people_who_come_by_twice_sign_together(names: tuple[str, ...], threshold: int) -> None:
    session, people = make_signers(names, threshold)
    board: list[bytes] = []
    run_all(people, [*names[:threshold]] * 3, board=board)
    for signer in people.values():
        signer.inbox = board
        check_outputs(session, signer.stands())
        assert signer.move().kind == "done"


def test_the_first_visits_commit_and_the_last_of_them_answers() -> None:
    _session, people = make_signers(FIVE[:3], 2)
    moves = run_all(people, ["alice", "carol", "alice", "carol"])
    assert [(name, move.kind, move.round) for name, move in moves] == [
        ("alice", "commit", 0),
        ("alice", "wait", 0),
        ("carol", "commit", 0),
        ("carol", "answer", 2),
        ("carol", "wait", 0),
        ("alice", "answer", 2),
        ("alice", "answer", 3),
        ("alice", "wait", 0),
        ("carol", "answer", 3),
        ("carol", "done", 0),
    ]
    assert moves[1][1].awaiting == ("bob", "carol")
    assert moves[1][1].any_of == 1
    assert moves[4][1].awaiting == ("alice",)


def test_fewer_than_the_threshold_sign_nothing() -> None:
    _session, people = make_signers(FIVE, 3)
    moves = run_all(people, ["alice", "bob"] * 5)
    assert {move.kind for _name, move in moves} == {"commit", "wait"}


@pytest.mark.parametrize("seed", range(24))
def test_whoever_hears_what_whenever(seed: int) -> None:
    """Messages arrive late, in any order, twice; everybody comes by at random."""
    rng = random.Random(seed)  # noqa: S311 - the same every time
    session, people = make_signers(FIVE, rng.choice((2, 3, 4, 5)), seed)
    said: list[bytes] = []
    for _visit in range(400):
        signer = people[rng.choice(FIVE)]
        news = [m for m in said if m not in signer.inbox and rng.random() < 0.5]
        signer.inbox += news + rng.sample(signer.inbox, min(2, len(signer.inbox)))
        rng.shuffle(signer.inbox)
        _move, message = signer.step()
        if message is not None:
            said.append(message)
            signer.inbox.append(message)
        if signer.stands().finished is not None:
            check_outputs(session, signer.stands())
            break
    else:
        pytest.fail("they never came to an end")
    stands = signer.stands()
    assert not stands.culprits


def test_sets_that_cross_end_in_a_new_attempt() -> None:
    """Each of three answers another pair: nobody can be answered, and nobody is to blame."""
    session, people = make_signers(FIVE[:3], 2)
    committed = {name: p.send(p.commitments(1)) for name, p in people.items()}
    pairs = {"alice": ("alice", "bob"), "bob": ("bob", "carol"), "carol": ("alice", "carol")}
    answers = []
    for name, pair in pairs.items():
        people[name].inbox = [committed[other] for other in pair]
        move, message = people[name].step()
        assert move.kind == "answer"
        answers.append(message)
    board = [*committed.values(), *(m for m in answers if m)]
    moves = run_all(people, ["bob", "alice", "bob", "alice"], board=board)
    assert moves[0][1].kind == "commit"
    assert moves[0][1].attempt == 2
    people["carol"].inbox = board
    check_outputs(session, people["carol"].stands())


def test_who_lost_the_nonces_begins_anew() -> None:
    """Killed between burning and publishing: the answer is gone, and is never made again."""
    session, people = make_signers(FIVE[:2], 2)
    board: list[bytes] = []
    run_all(people, ["alice"], board=board)
    people["bob"].inbox = list(board)
    people["bob"].inbox.append(people["bob"].step()[1] or b"")
    board.append(people["bob"].inbox[-1])
    lost, _message = people["bob"].step()
    assert lost.kind == "answer"
    people["bob"].inbox = list(board)
    assert people["bob"].move().attempt == 2
    run_all(people, ["bob", "alice", "bob", "alice"], board=board)
    people["alice"].inbox = board
    check_outputs(session, people["alice"].stands())


def test_who_waited_long_enough_goes_on_with_others() -> None:
    session, people = make_signers(FIVE[:3], 2)
    board: list[bytes] = []
    run_all(people, ["alice", "bob"], board=board)
    people["bob"].inbox = list(board)
    move, message = people["bob"].step(again=True)
    assert (move.kind, move.attempt) == ("commit", 2)
    board.append(message or b"")
    run_all(people, ["carol", "bob", "carol"], board=board)
    people["carol"].inbox = board
    stands = people["carol"].stands()
    check_outputs(session, stands)
    assert stands.finished is not None
    assert stands.finished.names == ("bob", "carol")


def lie(message: SignatureShares) -> SignatureShares:
    shares = {slot: Digest("01" + "0" * 62) for slot in message.shares}
    return msgspec.structs.replace(message, shares=shares)


def leave_out(message: SignatureShares) -> SignatureShares:
    return msgspec.structs.replace(message, shares={})


@pytest.mark.parametrize("change", [lie, leave_out])
def test_a_liar_is_named_and_left_out(change: object) -> None:
    session, people = make_signers(FIVE[:3], 2)
    people["bob"].change = change  # type: ignore[assignment]  # one of the two above
    board: list[bytes] = []
    run_all(people, ["alice", "bob", "alice", "bob", "alice"], board=board)
    people["alice"].inbox = board
    assert people["alice"].stands().culprits == ("bob",)
    people["bob"].inbox = board
    assert people["bob"].move().kind == "excluded"
    run_all(people, ["carol", "alice", "carol", "alice"], board=board)
    people["carol"].inbox = board
    stands = people["carol"].stands()
    check_outputs(session, stands)
    assert stands.culprits == ("bob",)


def test_who_commits_to_no_point_is_named() -> None:
    session, people = make_signers(FIVE[:3], 2)
    good = people["bob"].commitments(1)
    bad = {slot: NoncePair(hiding=Digest("f" * 64), binding=p.binding)
           for slot, p in good.nonces.items()}  # fmt: skip
    board = [people["bob"].send(msgspec.structs.replace(good, nonces=bad))]
    run_all(people, ["alice", "carol", "alice", "carol"], board=board)
    people["carol"].inbox = board
    assert people["carol"].stands().culprits == ("bob",)
    check_outputs(session, people["carol"].stands())


def test_who_says_two_things_is_named() -> None:
    session, people = make_signers(FIVE[:3], 2)
    twin = Signer("bob", people["bob"].share, session, random.Random(99))  # noqa: S311
    board = [people["bob"].send(people["bob"].commitments(1)), twin.send(twin.commitments(1))]
    run_all(people, ["alice", "carol", "alice", "carol"], board=board)
    people["alice"].inbox = board
    assert people["alice"].stands().culprits == ("bob",)
    check_outputs(session, people["alice"].stands())


def test_what_does_not_count_is_named() -> None:
    session, people = make_signers(FIVE[:2], 2)
    other = demo_session(deal_group(FIVE[:3], 3)[0])
    stranger = Signer("alice", people["alice"].share, other, random.Random(5))  # noqa: S311
    mallory = msgspec.structs.replace(people["bob"].commitments(1), sender="mallory")
    forged = people["bob"].commitments(1)
    board = [
        b"junk",
        stranger.send(stranger.commitments(1)),
        sealed(mallory, "mallory"),
        sealed(forged, "mallory"),
    ]
    people["alice"].inbox = board
    stands = people["alice"].stands()
    assert not stands.committed
    said = "\n".join(stands.lines)
    for word in (
        "not valid JSON",
        "another ceremony or session",
        "nobody of this group",
        "not verify",
    ):
        assert word in said, said
    run_all(people, ["alice", "bob", "alice", "bob"], board=board)
    people["alice"].inbox = board
    check_outputs(session, people["alice"].stands())


def test_a_replayed_first_round_of_another_attempt_is_no_answer() -> None:
    """Round 1 of attempt 1, sent again as attempt 2 by somebody else, is not by its sender."""
    _session, people = make_signers(FIVE[:2], 2)
    first = people["bob"].commitments(1)
    replayed = sealed(msgspec.structs.replace(first, attempt=2), "alice")
    people["alice"].inbox = [people["bob"].send(first), replayed]
    stands = people["alice"].stands()
    assert stands.attempt == 1
    assert set(stands.committed) == {"bob"}


def test_an_attempt_out_of_turn_is_no_attempt() -> None:
    session, people = make_signers(FIVE[:3], 2)
    board = [people["bob"].send(people["bob"].commitments(900))]
    run_all(people, ["alice", "carol", "alice", "carol"], board=board)
    people["carol"].inbox = board
    assert people["carol"].stands().attempt == 1
    check_outputs(session, people["carol"].stands())
