"""Three people on three machines make a key, lose a share, and replace a member."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nacl.bindings import crypto_sign_open

from relsign.crypto.openpgp import parse_certificate
from relsign.crypto.openpgp_make import revoked
from relsign.crypto.sealing import Cost
from relsign.errors import HostError, InputError
from relsign.formats.charter import Charter, Group, parse_transcript
from relsign.formats.envelope import INTOTO_PAYLOAD, pae
from relsign.sign.ceremony.charter import (
    Terms,
    keygen_charter,
    repair_charter,
    reshare_charter,
)
from relsign.sign.ceremony.member import Member, take_part
from relsign.sign.ceremony.requests import layout_session
from relsign.sign.ceremony.transcript import verify_transcript
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Exchange, Identity, Received
from relsign.sign.groups.attendance import (
    Attendance,
    Attendee,
    attend,
    present_group,
    propose,
    revocation_name,
    transcript_name,
)
from relsign.sign.groups.shares import Belongings, has_share, open_share
from relsign.system.workspace import Workspace
from tests.sign.ceremony.signers import identity_of, raw_public

NAMES = ("alice", "bob", "carol")
CREATED = datetime(2026, 11, 20, 8, tzinfo=UTC)
EXPIRES = CREATED + timedelta(days=730)
TERMS = Terms("demo", "demo-release", "release", "Demo <demo@example.invalid>", CREATED, EXPIRES)
PASSPHRASE = b"correct horse"
CHEAP = Cost(ops=1, mem_kib=8192)
MAX_VISITS = 30


@dataclass
class World:
    """People with homes of their own, and one folder between them."""

    folder: Path

    def attendee(self, name: str) -> Attendee:
        key = identity_of(name)
        home = self.folder / name
        board = self.folder / "board"
        for path in (home / "project", board):
            path.mkdir(parents=True, exist_ok=True)
        (home / "keys" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "keys").chmod(0o700)
        return Attendee(
            identity=Identity("ab" * 4, raw_public(key), key.sign),
            passphrase=PASSPHRASE,
            mine=Belongings(home / "keys" / name, CHEAP),
            workspace=Workspace(home / "project"),
            exchange=DirectoryExchange(board),
        )

    def run(self, charter: Charter, names: tuple[str, ...]) -> dict[str, Attendance]:
        """Let people come by in turn until nobody has anything left to do."""
        last: dict[str, Attendance] = {}
        for visit in range(MAX_VISITS):
            name = names[visit % len(names)]
            last[name] = attend(self.attendee(name), charter)
            if len(last) == len(names) and all(a.is_over for a in last.values()):
                return last
        raise AssertionError({name: a.step for name, a in last.items()})

    def group(self, name: str = "alice") -> Group:
        return present_group(self.attendee(name).workspace, "demo-release")

    def sign(self, group: Group, names: tuple[str, ...]) -> bytes | None:
        """Sign a layout's payload; return the signature, None if it does not come about."""
        session = layout_session(group, b"payload", EXPIRES)
        signature = None
        for name in (*names, *names, *names):
            person = self.attendee(name)
            share = open_share(person.mine, group, PASSPHRASE)
            member = Member(name, person.identity, share, person.mine.nonces, person.exchange)
            signature = take_part(member, session).outputs.get("layout", signature)
        return signature


def people(names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: raw_public(identity_of(name)) for name in names}


def keygen(world: World) -> Charter:
    charter = keygen_charter(TERMS, people(NAMES), 2, b"n" * 32)
    propose(world.attendee("alice"), charter, None)
    return charter


def check_signature(group: Group, signature: bytes | None) -> None:
    assert signature is not None
    message = pae(INTOTO_PAYLOAD, b"payload")
    assert crypto_sign_open(signature + message, bytes.fromhex(group.key)) == message


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world in which the three have made a key."""
    world = World(tmp_path_factory.mktemp("world"))
    charter = keygen(world)
    last = world.run(charter, NAMES)
    assert {a.certificate for a in last.values()} != {None}
    return world.folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    shutil.copytree(made, tmp_path / "world", copy_function=shutil.copy2)
    return World(tmp_path / "world")


def test_three_people_make_a_key_and_two_of_them_sign(world: World) -> None:
    groups = {world.group(name).to_bytes() for name in NAMES}
    assert len(groups) == 1
    group = world.group()
    check_signature(group, world.sign(group, ("alice", "carol")))


def test_one_alone_signs_nothing(world: World) -> None:
    assert world.sign(world.group(), ("bob",)) is None


def test_each_has_the_certificate_and_keeps_a_revocation(world: World) -> None:
    group = world.group()
    seen = set()
    for name in NAMES:
        person = world.attendee(name)
        certificate = attend(person, charter_of(person)).certificate
        assert certificate is not None
        assert parse_certificate(certificate, name).user_ids == (TERMS.user_id,)
        vault = person.mine.vault
        revocation = vault.load(revocation_name(group.key), PASSPHRASE)
        assert revoked(certificate, revocation) != certificate
        seen.add(certificate)
        assert not [n for n in vault.names() if n.startswith("ceremony-")]
    assert len(seen) == 1


def charter_of(person: Attendee) -> Charter:
    (path,) = person.workspace.group_folder("demo-release").glob("keygen-*.transcript.json")
    return parse_transcript(path.read_bytes()).charter


def test_the_transcript_can_be_checked_by_anybody(world: World) -> None:
    person = world.attendee("bob")
    charter = charter_of(person)
    path = person.workspace.group_folder("demo-release") / transcript_name(charter)
    assert verify_transcript(parse_transcript(path.read_bytes()), None) == world.group()


def test_nothing_secret_lies_in_the_project_or_between_people(world: World) -> None:
    group = world.group()
    for name in NAMES:
        person = world.attendee(name)
        secret = open_share(person.mine, group, PASSPHRASE).secret
        for path in world.folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert secret not in data, path
                assert secret.hex().encode() not in data, path


def test_a_lost_share_is_repaired(world: World) -> None:
    group, bob = world.group(), world.attendee("bob")
    shutil.rmtree(bob.mine.vault.folder)
    assert not has_share(bob.mine, group)
    charter = repair_charter(group, "bob", ("alice", "carol"), expires=EXPIRES, nonce=b"r" * 32)
    propose(world.attendee("alice"), charter, group)
    world.run(charter, NAMES)
    assert has_share(bob.mine, group)
    check_signature(group, world.sign(group, ("alice", "bob")))


def test_a_member_is_replaced(world: World) -> None:
    old = world.group()
    new = ("alice", "carol", "dave")
    charter = reshare_charter(
        old, people(new), 2, ("alice", "bob"), expires=EXPIRES, nonce=b"s" * 32
    )
    propose(world.attendee("alice"), charter, old)
    give_group(world, "dave")
    last = world.run(charter, ("alice", "bob", "carol", "dave"))
    group = world.group("dave")
    assert group.key == old.key
    assert [h.name for h in group.holders] == list(new)
    check_signature(group, world.sign(group, ("carol", "dave")))
    assert last["bob"].group == group
    for name in ("alice", "bob", "carol"):
        assert not has_share(world.attendee(name).mine, old), name
    assert not has_share(world.attendee("bob").mine, group)


def give_group(world: World, name: str) -> None:
    """Let a new person clone the project."""
    source = world.attendee("alice").workspace.folder
    shutil.copytree(source, world.attendee(name).workspace.folder, dirs_exist_ok=True)


def test_a_share_from_before_a_reshare_does_not_fit(world: World) -> None:
    old = world.group()
    charter = reshare_charter(
        old, people(NAMES), 2, ("alice", "bob"), expires=EXPIRES, nonce=b"t" * 32
    )
    propose(world.attendee("bob"), charter, old)
    kept = shutil.copytree(
        world.attendee("alice").mine.folder,
        world.folder / "backup" / "alice",
        copy_function=shutil.copy2,
    )
    world.run(charter, NAMES)
    with pytest.raises(InputError, match="has no share"):
        open_share(Belongings(kept, CHEAP), world.group(), PASSPHRASE)


@dataclass
class CutExchange:
    """Every other message does not get through."""

    inner: Exchange
    calls: int = 0

    def put(self, topic: str, message: bytes) -> None:
        self.calls += 1
        if self.calls % 2:
            raise HostError("the line is cut")
        self.inner.put(topic, message)

    def messages(self, topic: str) -> Received:
        return self.inner.messages(topic)


def test_visits_that_are_cut_off_come_to_the_same_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    charter = keygen(world)
    lines = {name: CutExchange(world.attendee(name).exchange) for name in NAMES}
    over: set[str] = set()
    for visit in range(60):
        name = NAMES[visit % 3]
        person = replace(world.attendee(name), exchange=lines[name])
        try:
            if attend(person, charter).is_over:
                over.add(name)
        except HostError:
            continue
        if over == set(NAMES):
            break
    assert over == set(NAMES)
    group = world.group("carol")
    check_signature(group, world.sign(group, ("bob", "carol")))


def test_one_ceremony_at_a_time(world: World) -> None:
    old = world.group()
    first = reshare_charter(old, people(NAMES), 2, NAMES[:2], expires=EXPIRES, nonce=b"1" * 32)
    other = reshare_charter(old, people(NAMES), 2, NAMES[:2], expires=EXPIRES, nonce=b"2" * 32)
    alice = world.attendee("alice")
    propose(alice, first, old)
    propose(alice, first, old)
    with pytest.raises(InputError, match="under way"):
        propose(alice, other, old)


def test_another_passphrase_opens_nothing(world: World) -> None:
    person = replace(world.attendee("alice"), passphrase=b"another one")
    with pytest.raises(InputError, match="passphrase"):
        open_share(person.mine, world.group(), person.passphrase)
