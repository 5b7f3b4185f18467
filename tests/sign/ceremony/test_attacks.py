"""Attacks on a ceremony's end: by whoever writes to the project, and by who has a share."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from relsign.errors import InputError
from relsign.formats.ceremony import CEREMONY_PAYLOAD, Dealing
from relsign.formats.charter import Group, Transcript
from relsign.sign.ceremony.charter import agree, ceremony_id, reshare_charter
from relsign.sign.ceremony.member import seal_message
from relsign.sign.ceremony.steps import listen
from relsign.sign.groups.attendance import (
    CERTIFICATE_FILE,
    CHARTER_FILE,
    attend,
    has_joined,
    propose,
    transcript_name,
)
from relsign.sign.groups.shares import GROUP_FILE, has_share
from tests.sign.test_attendance import EXPIRES, NAMES, World, keygen, people


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a world in which the three have made a key."""
    world = World(tmp_path_factory.mktemp("world"))
    world.run(keygen(world), NAMES)
    return world.folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    shutil.copytree(made, tmp_path / "world", copy_function=shutil.copy2)
    return World(tmp_path / "world")


def without_bob(group: Group) -> Group:
    holders = tuple(holder for holder in group.holders if holder.name != "bob")
    return msgspec.structs.replace(group, holders=holders)


@pytest.mark.parametrize("keeps_previous", [False, True])
def test_made_up_files_destroy_no_share(world: World, *, keeps_previous: bool) -> None:
    """A reshare that never was, after which bob holds nothing: he is asked, and keeps his share."""
    group, bob = world.group("bob"), world.attendee("bob")
    charter = reshare_charter(
        group, people(("alice", "carol")), 2, ("alice", "carol"), expires=EXPIRES, nonce=b"x" * 32
    )
    folder = bob.workspace.group_folder(group.name)
    if keeps_previous:
        name = f"earlier-{(charter.previous or '')[:16]}.group.json"
        (folder / name).write_bytes(group.to_bytes())
    empty = Transcript(charter=charter, messages=())
    (folder / CHARTER_FILE).write_bytes(charter.to_bytes())
    (folder / transcript_name(charter)).write_bytes(empty.to_bytes())
    (folder / GROUP_FILE).write_bytes(without_bob(group).to_bytes())
    assert not has_joined(bob, charter)
    if keeps_previous:
        assert not attend(bob, charter).destroyed
    else:
        with pytest.raises(InputError, match="not the previous of the group before"):
            attend(bob, charter)
    assert has_share(bob.mine, group)


def test_a_second_word_after_all_accepted_takes_nobodys_share(tmp_path: Path) -> None:
    """Carol has everybody's acceptance, then contradicts herself to stop the others."""
    world = World(tmp_path)
    charter = keygen(world)
    for name in NAMES:
        propose(world.attendee(name), charter, None)
    for name in ("alice", "bob", "carol", "alice", "bob", "alice", "carol"):
        attend(world.attendee(name), charter)
    carol, alice = world.attendee("carol"), world.attendee("alice")
    topic = ceremony_id(charter)
    heard = listen(agree(charter, None), carol.exchange.messages(topic).messages)
    (dealing,) = (m for m in heard.messages if isinstance(m, Dealing) and m.sender == "carol")
    other = msgspec.structs.replace(dealing, proof="00" * 64)
    second = seal_message(other.to_bytes(), CEREMONY_PAYLOAD, carol.identity)
    carol.exchange.put(topic, second)
    stopped = attend(alice, charter).step.stopped
    assert stopped is not None
    assert stopped.culprits == ("carol",)
    # What all accepted is in the project of whoever finished: once alice has that, it counts.
    group = world.group("carol")
    for path in carol.workspace.group_folder(group.name).iterdir():
        if path.is_file():
            shutil.copy2(path, alice.workspace.group_folder(group.name))
    assert attend(alice, charter).group == group
    assert has_share(alice.mine, group)


def test_a_certificate_that_is_gone_makes_nobody_a_liar(world: World) -> None:
    """The ceremony's seed is destroyed by then: no box of the revocation opens any more."""
    alice, group = world.attendee("alice"), world.group()
    charter = keygen(world)
    path = alice.workspace.group_folder(group.name) / CERTIFICATE_FILE
    before = path.read_bytes()
    path.unlink()
    again = attend(alice, charter)
    assert again.certificate == path.read_bytes() == before
    assert [visit.stands.culprits for visit in again.signing] == [()]
    assert not [name for name in alice.mine.vault.names() if name.startswith("ceremony-")]
