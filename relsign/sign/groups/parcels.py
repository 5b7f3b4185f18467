"""What of a group's messages goes on paper, and where those that come from paper belong.

A machine without a network has its own copy of the project.  Paper carries to it what the
others said, and back what it said: the ceremony under way, the sessions in which a new
group signs its certificate and revocation, and those of the release in the making.

A parcel says only which messages belong together.  What they are of follows from
documents here: a charter, a group, the release's statement.  Nothing on paper is
believed; a charter that comes with it is taken only where a participant signed it and
all its people are those of this project's roster, and nobody has joined by that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.crypto.keys import GroupPublic, Party
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import STATEMENT_FILE
from relsign.formats.ceremony import CEREMONY_PAYLOAD, Proposal, parse_message
from relsign.formats.charter import Charter
from relsign.formats.envelope import parse_envelope
from relsign.formats.paper import Parcel
from relsign.formats.signing import SIGNING_PAYLOAD, parse_signing_message
from relsign.formats.statement import Statement, parse_statement
from relsign.sign.ceremony.charter import agree, ceremony_id
from relsign.sign.ceremony.hearing import Sent
from relsign.sign.ceremony.requests import certificate_session, revocation_session
from relsign.sign.ceremony.steps import listen
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.groups.attendance import (
    CHARTER_FILE,
    public_step,
    read_charter,
    read_previous_group,
    transcript_name,
)
from relsign.sign.groups.people import group_exchange, require_own_roster
from relsign.sign.groups.release import group_signing, release_exchange
from relsign.sign.groups.shares import read_group
from relsign.sign.places import is_real_folder
from relsign.sign.release import read_statement
from relsign.sign.rules.root import current_root
from relsign.system.files import make_folder, write_whole
from relsign.system.workspace import Workspace
from relsign.verify.root import TrustedRoot

NOBODY = Identity("", b"", lambda _message: b"")
"""Who reads and writes a folder: it asks nobody for a name."""
_KINDS: tuple[tuple[str, Callable[[bytes], Sent]], ...] = (
    (CEREMONY_PAYLOAD, parse_message),
    (SIGNING_PAYLOAD, parse_signing_message),
)


@dataclass(frozen=True, slots=True)
class Put:
    """Messages of one topic that went into an exchange."""

    label: str
    count: int
    new: int
    """How many of them were not there before."""


def ceremony_topics(workspace: Workspace, group: str, exchange: Exchange) -> tuple[str, ...]:
    """Return the topics of the ceremony of `group` under way, as far as they are known.

    After a keygen, those of certificate and revocation follow from what the exchange
    holds.  Raises InputError where there is no charter.
    """
    charter = read_charter(workspace, group)
    topics = [str(ceremony_id(charter))]
    done = public_step(workspace, charter, exchange).done
    if charter.kind == "keygen" and done is not None:
        topics.append(certificate_session(done.group, charter.expires).session_id)
        topics.append(revocation_session(done.group).session_id)
    return tuple(topics)


def release_topic(workspace: Workspace, root: TrustedRoot, group: str) -> str:
    """Return the topic in which `group` signs the release in the making.

    It follows from the statement that a first signer made.  Raises InputError where there
    is none, or the root has no release key of that name.
    """
    party = release_party(root, group)
    document = read_group(workspace, root, party)
    signing = group_signing(workspace, root, party, document, present_statement(workspace))
    return signing.session.session_id


def release_party(root: TrustedRoot, group: str) -> Party:
    """Return the root's release key of this name; raise InputError if it has none."""
    parties = [p for p in root.having("release") if isinstance(p.key, GroupPublic)]
    for party in parties:
        if party.name == group:
            return party
    raise InputError(
        "no release key of that name in the trust root",
        got=group,
        expected=", ".join(p.name for p in parties) or "a group: see `relsign ceremony new`",
        hint="enrol it with `relsign root add CARD`",
    )


def present_statement(workspace: Workspace) -> Statement:
    """Return the statement of the release in the making; raise InputError if there is none."""
    release = workspace.release()
    envelope = read_statement(release)
    if envelope is None:
        raise InputError(
            "no statement yet of which a group could sign anything",
            where=os.fspath(release.statement_file),
            hint="run `relsign sign`, or take the release folder from who did: "
            "`relsign collect FOLDER`",
        )
    return parse_statement(envelope.payload, STATEMENT_FILE)


def only_by(parcel: Parcel, names: Iterable[str]) -> Parcel:
    """Return a parcel with only the messages that say to be by one of `names`."""
    wanted = set(names)
    kept = {topic: tuple(m for m in said if _sender(m) in wanted) for topic, said in parcel.items()}
    return {topic: said for topic, said in kept.items() if said}


def _sender(data: bytes) -> str | None:
    """Return who says to have sent a message; None for what is no message."""
    for payload_type, parse in _KINDS:
        try:
            return parse(parse_envelope(data, "message", payload_type=payload_type).payload).sender
        except InputError:
            continue
    return None


def adopt_charters(
    workspace: Workspace, parcel: Parcel
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the charters of ceremonies that are new here; return files, and lines on others.

    One is taken that a participant signed, of this project and of people whom its roster
    knows by the same keys, and only where no other ceremony of the group is under way.
    """
    paths: list[Path] = []
    refused: list[str] = []
    for topic, messages in parcel.items():
        for message in messages:
            charter = _proposed(message, topic)
            if charter is None or not _is_new(workspace, charter):
                continue
            try:
                paths.append(_adopt(workspace, charter, message))
            except (InputError, VerificationError) as error:
                refused.append(f"ceremony of {charter.group} {topic[:8]}: {error}")
    return tuple(paths), tuple(refused)


def _proposed(data: bytes, topic: str) -> Charter | None:
    try:
        envelope = parse_envelope(data, "message", payload_type=CEREMONY_PAYLOAD)
        message = parse_message(envelope.payload)
    except InputError:
        return None
    if not isinstance(message, Proposal) or ceremony_id(message.charter) != topic:
        return None
    return message.charter


def _is_new(workspace: Workspace, charter: Charter) -> bool:
    """Say whether a ceremony is neither the one known here nor over."""
    folder = workspace.group_folder(charter.group)
    if (folder / transcript_name(charter)).exists():
        return False
    return not (folder / CHARTER_FILE).exists() or read_charter(workspace, charter.group) != charter


def _adopt(workspace: Workspace, charter: Charter, message: bytes) -> Path:
    require_own_roster(workspace, charter)
    agreed = agree(charter, read_previous_group(workspace, charter))
    heard = listen(agreed, (message,))
    if not heard.messages:
        raise VerificationError("nobody of it proposed it", got=heard.ignored[0])
    path = workspace.group_folder(charter.group) / CHARTER_FILE
    if path.exists():
        present = read_charter(workspace, charter.group)
        if not (path.parent / transcript_name(present)).exists():
            raise InputError(
                "another ceremony of this group is under way",
                where=os.fspath(path),
                hint="finish it with `relsign ceremony join`, or remove the file to give it up",
            )
    make_folder(path.parent)
    write_whole(path, charter.to_bytes())
    return path


def put_all(exchange: Exchange, parcel: Parcel) -> tuple[Put, ...]:
    """Put a whole parcel into one exchange; raise as `Exchange.put`."""
    return tuple(
        _put(exchange, topic, messages, f"topic {topic[:8]}") for topic, messages in parcel.items()
    )


def put_where_they_belong(
    workspace: Workspace, parcel: Parcel, now: datetime
) -> tuple[tuple[Put, ...], tuple[str, ...]]:
    """Put each message into the project's folder for it; return that, and lines on the rest.

    Ceremonies are those whose charter is here.  Raises InputError where nothing belongs
    to anything here.
    """
    left = dict(parcel)
    done: list[Put] = []
    for group in _groups_here(workspace):
        exchange = group_exchange(workspace, group, None, None)
        # Two looks: which sessions there are may follow from what the first one brought.
        for _look in range(2):
            topics = [t for t in ceremony_topics(workspace, group, exchange) if t in left]
            label = f"ceremony of {group}"
            done += [_put(exchange, topic, left.pop(topic), label) for topic in topics]
    for topic, (label, exchange) in _release_places(workspace, now, left).items():
        done.append(_put(exchange, topic, left.pop(topic), label))
    lines = tuple(f"{len(m)} messages of topic {topic[:8]}" for topic, m in sorted(left.items()))
    if not done:
        raise InputError(
            "these messages are of nothing that is known here",
            got="; ".join(lines),
            hint="of a ceremony, export its proposal too; of a release, first bring its folder "
            f"with {STATEMENT_FILE} (`relsign collect`); or say where with --exchange",
        )
    return tuple(done), lines


def _groups_here(workspace: Workspace) -> tuple[str, ...]:
    folder = workspace.group_folder("x").parent
    if not is_real_folder(folder):
        return ()
    return tuple(sorted(path.parent.name for path in folder.glob(f"*/{CHARTER_FILE}")))


def _release_places(
    workspace: Workspace, now: datetime, wanted: Mapping[str, object]
) -> dict[str, tuple[str, Exchange]]:
    """Return where messages of the release in the making go; nothing where there is none."""
    places: dict[str, tuple[str, Exchange]] = {}
    if not wanted:
        return places
    try:
        root, release = current_root(workspace, now), workspace.release()
        for party in root.having("release"):
            topic = release_topic(workspace, root, party.name)
            if topic in wanted:
                label = f"{party.name} signs {release.project} {release.version}"
                places[topic] = label, release_exchange(release, None, NOBODY)
    except (InputError, NotEnoughError):
        return places
    return places


def _put(exchange: Exchange, topic: str, messages: tuple[bytes, ...], label: str) -> Put:
    there = set(exchange.messages(topic).messages)
    fresh = [message for message in messages if message not in there]
    for message in fresh:
        exchange.put(topic, message)
    return Put(label, len(messages), len(fresh))
