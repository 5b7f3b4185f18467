"""A relay's rules, one by one: who is served, how often, how much, and what is on the disk."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.relay import PAGE_MESSAGES, topic_path
from relsign.relay.admission import Asked, Gate, Moment
from relsign.relay.limits import MAX_KNOWN, Buckets, Nonces, Rate
from relsign.relay.members import load_members
from relsign.relay.quota import Quota
from relsign.relay.refusal import RefusedError
from relsign.relay.store import Store
from tests.formats.samples import make_root
from tests.relay.people import ANN, BO, OTHER, TOPIC, credential, roster

URL = "https://relay.example"


# --- limits ------------------------------------------------------------------------------------


def test_tokens_come_back_with_time() -> None:
    buckets = Buckets(Rate(burst=3, per_second=2))
    assert [buckets.spend("a", 0) for _ in range(4)] == [True, True, True, False]
    assert buckets.spend("b", 0)
    assert not buckets.spend("a", 0.4)
    assert buckets.spend("a", 0.5)
    assert [buckets.spend("a", 1000) for _ in range(4)] == [True, True, True, False]


def test_a_crowd_is_not_remembered_without_end() -> None:
    buckets = Buckets(Rate(burst=1, per_second=0))
    assert all(buckets.spend(f"{n}", n) for n in range(3 * MAX_KNOWN))
    assert len(buckets._left) == MAX_KNOWN
    assert not buckets.spend(f"{3 * MAX_KNOWN - 1}", 3 * MAX_KNOWN)


def test_a_nonce_is_new_once() -> None:
    nonces = Nonces(seconds=10, at_most=3)
    assert nonces.is_new("a", "1", 0)
    assert not nonces.is_new("a", "1", 5)
    assert nonces.is_new("b", "1", 5)
    assert nonces.is_new("a", "2", 5)
    # Full: nobody is let in twice, so nobody is let in.
    assert not nonces.is_new("a", "3", 6)
    assert nonces.is_new("a", "3", 10.5)
    assert nonces.is_new("a", "1", 16)


# --- the gate ----------------------------------------------------------------------------------


def gate(tmp_path: Path, members: bytes | None = None) -> Gate:
    file = tmp_path / "roster.toml"
    file.write_bytes(members or roster(ann=ANN, bo=BO))
    return Gate(URL, load_members(file))


def test_the_gate_lets_a_member_in_once(tmp_path: Path) -> None:
    door = gate(tmp_path)
    path = topic_path(TOPIC, 3)
    asked = Asked("192.0.2.1", "GET", path, credential(ANN, URL, "GET", path, b""))
    admitted = door.admit(asked, Moment(datetime.now(UTC), 0))
    assert (admitted.member.name, admitted.request.topic, admitted.request.after) == (
        "ann", TOPIC, 3,
    )  # fmt: skip
    with pytest.raises(RefusedError, match="here before") as caught:
        door.admit(asked, Moment(datetime.now(UTC), 599))
    assert caught.value.status == 409


@pytest.mark.parametrize(
    ("seconds", "good"), [(295, True), (-295, True), (320, False), (-320, False)]
)
def test_the_window_of_time(tmp_path: Path, seconds: int, *, good: bool) -> None:
    path = topic_path(TOPIC)
    asked = Asked("192.0.2.1", "GET", path, credential(ANN, URL, "GET", path, b""))
    moment = Moment(datetime.now(UTC) + timedelta(seconds=seconds), 0)
    if good:
        assert gate(tmp_path).admit(asked, moment).member.name == "ann"
    else:
        with pytest.raises(RefusedError, match=r"your clock is 3[12]\d seconds"):
            gate(tmp_path).admit(asked, moment)


# --- members -----------------------------------------------------------------------------------


def test_members_of_a_root_are_served_but_for_revoked_keys(tmp_path: Path) -> None:
    root = make_root()
    file = tmp_path / "root.json"
    file.write_bytes(root.to_bytes())
    revoked = {one.keyid for one in root.signed.policy.revoked_keys}
    served = load_members(file)
    names = {one.name for one in served.values()}
    assert names
    assert names <= {member.name for member in root.signed.members}
    assert not revoked & set(served)


BAD_KEY = roster(ann=ANN).replace(ANN.public.hex().encode(), b"01" + b"00" * 31)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", InputError),
        (b"member = []\n", InputError),
        (b"{}", InputError),
        (b"\xff", InputError),
        (b"#" * 600_000, InputError),
        (BAD_KEY, InputError),
    ],
)
def test_a_bad_list_of_members_is_refused(
    tmp_path: Path, data: bytes, kind: type[Exception]
) -> None:
    file = tmp_path / "members"
    file.write_bytes(data)
    with pytest.raises(kind):
        load_members(file)
    with pytest.raises(NotEnoughError):
        load_members(tmp_path / "absent")


# --- the store ---------------------------------------------------------------------------------

SMALL = Quota(topics=2, topic_messages=3, topic_bytes=100, all_messages=5, all_bytes=120)


def open_store(folder: Path, quota: Quota = SMALL) -> tuple[Store, list[str]]:
    lines: list[str] = []
    return Store(folder, quota, lines.append), lines


@pytest.mark.parametrize(
    ("before", "topic", "size", "words"),
    [
        ([(TOPIC, 1)] * 3, TOPIC, 1, "3 messages in this topic"),
        ([(TOPIC, 60)], TOPIC, 41, "100 bytes in this topic"),
        ([(TOPIC, 1), (OTHER, 1)], "ef" * 32, 1, "2 topics"),
        ([(TOPIC, 1)] * 3 + [(OTHER, 1)] * 2, OTHER, 1, "5 messages"),
        ([(TOPIC, 60), (OTHER, 50)], OTHER, 11, "120 bytes"),
    ],
)
def test_a_share_has_an_end_also_after_a_restart(
    tmp_path: Path, before: list[tuple[str, int]], topic: str, size: int, words: str
) -> None:
    store, _ = open_store(tmp_path)
    for number, (name, length) in enumerate(before):
        store.put(name, bytes([number]) * length, ANN.keyid)
    for one in (store, open_store(tmp_path)[0]):
        with pytest.raises(RefusedError, match=f"your share is full: {words}$") as caught:
            one.put(topic, b"\xff" * size, ANN.keyid)
        assert caught.value.status == 507
        assert one.put(before[0][0], b"\0" * before[0][1], ANN.keyid) == (1, False)
    store.put(topic, b"\xff" * size, BO.keyid)


def test_numbers_rise_and_survive(tmp_path: Path) -> None:
    quota = Quota()
    store, _ = open_store(tmp_path, quota)
    assert [store.put(TOPIC, b"%d" % n, ANN.keyid) for n in range(3)] == [
        (1, True), (2, True), (3, True),
    ]  # fmt: skip
    store, lines = open_store(tmp_path, quota)
    assert store.size == (1, 3)
    assert store.put(TOPIC, b"3", BO.keyid) == (4, True)
    assert store.page(TOPIC, 0).messages == ((1, b"0"), (2, b"1"), (3, b"2"), (4, b"3"))
    assert store.page(TOPIC, 2).messages == ((3, b"2"), (4, b"3"))
    assert store.page(OTHER, 0).messages == ()
    assert lines == []


def test_what_does_not_belong_there_is_named_and_left_out(tmp_path: Path) -> None:
    quota = Quota()
    store, _ = open_store(tmp_path, quota)
    for n in range(3):
        store.put(TOPIC, b"%d" % n, ANN.keyid)
    folder = tmp_path / TOPIC
    first, second, _third = sorted(folder.iterdir())
    first.write_bytes(b"spoilt")
    second.unlink()
    os.mkfifo(folder / second.name)
    (folder / ".half.tmp").write_bytes(b"ha")
    (folder / "junk\x1b").write_bytes(b"")
    (tmp_path / "cd").mkdir()
    (tmp_path / OTHER).symlink_to(folder)
    store, lines = open_store(tmp_path, quota)
    assert store.page(TOPIC, 0).messages == ((3, b"2"),)
    assert store.page(OTHER, 0).messages == ()
    assert len(lines) == 5
    assert not (folder / ".half.tmp").exists()
    # Whoever brings a spoilt message again, mends it.
    assert store.put(TOPIC, b"0", BO.keyid) == (1, True)
    assert store.page(TOPIC, 0).messages == ((1, b"0"), (3, b"2"))


def test_pages_end_where_the_next_message_would_be_too_much(tmp_path: Path) -> None:
    quota = Quota(topic_messages=1000)
    store, _ = open_store(tmp_path, quota)
    for n in range(PAGE_MESSAGES + 1):
        store.put(TOPIC, b"%d" % n, ANN.keyid)
    page = store.page(TOPIC, 0)
    assert (len(page.messages), page.more) == (PAGE_MESSAGES, True)
    rest = store.page(TOPIC, page.messages[-1][0])
    assert (len(rest.messages), rest.more) == (1, False)


def test_a_store_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError):
        open_store(tmp_path / "file")
