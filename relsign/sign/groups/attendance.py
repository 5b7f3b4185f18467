"""One participant of a key ceremony on one machine: whatever is next, until others are.

    charter      agreed to once; its seed is sealed in the vault before anything is said
    messages     read from the exchange and kept; one's own are published
    done         the share goes to the vault, the group's document to the project
    certificate  the new group signs its OpenPGP certificate, and a revocation that only
                 its participants can make: each keeps it sealed, for the day the quorum
                 is lost

It may be run again at any time, after any crash.  A seed says the same bytes each time.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from relsign.crypto.frost.signing import SecretShare
from relsign.crypto.sealing import receiver_key
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.ceremony import CEREMONY_PAYLOAD, Dealing, Proposal
from relsign.formats.charter import (
    MAX_TRANSCRIPT_BYTES,
    Charter,
    Group,
    Transcript,
    parse_charter,
    parse_group,
    parse_transcript,
)
from relsign.formats.names import Digest
from relsign.formats.share import HeldCeremony, parse_held_ceremony
from relsign.sign.ceremony.boxes import key_for
from relsign.sign.ceremony.charter import Agreed, agree, ceremony_id
from relsign.sign.ceremony.member import Privacy, Visit, seal_message, take_part
from relsign.sign.ceremony.requests import (
    CERTIFICATE,
    REVOCATION,
    certificate_session,
    revocation_session,
)
from relsign.sign.ceremony.secrets import derive_key
from relsign.sign.ceremony.steps import Person, Step, listen
from relsign.sign.ceremony.transcript import make_transcript, next_step, verify_transcript
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.groups.shares import (
    GROUP_FILE,
    Belongings,
    as_member,
    has_share,
    keep_share,
    older_shares,
    open_share,
)
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace

CHARTER_FILE = "charter.json"
TRANSCRIPT_ENDING = ".transcript.json"
CERTIFICATE_FILE = "certificate.pgp"
MAX_STEPS = 6
"""Messages of one visit: every kind there is."""


@dataclass(frozen=True, slots=True)
class Attendee:
    """A person at a ceremony: an identity key, a vault, an exchange."""

    identity: Identity
    passphrase: bytes = field(repr=False)
    mine: Belongings
    workspace: Workspace
    exchange: Exchange

    @property
    def name(self) -> str:
        """The person's name."""
        return self.mine.person

    def remembering(self, agreed: Agreed) -> Exchange:
        """Return the exchange, with whatever this person once heard."""
        return self.mine.remembering(self.exchange, agreed.identities.values())


@dataclass(frozen=True, slots=True)
class Attendance:
    """What one visit did, and how the ceremony stands after it."""

    sent: tuple[str, ...]
    """Kinds of messages published."""
    step: Step
    group: Group | None = None
    """The result, once everybody accepted it."""
    signing: tuple[Visit, ...] = ()
    """At keygen: the sessions of certificate and revocation."""
    certificate: bytes | None = None
    destroyed: tuple[str, ...] = ()
    """Names of older shares of the key that were destroyed."""

    @property
    def is_over(self) -> bool:
        """Say whether nothing is left for this participant to do."""
        return self.group is not None and all(v.last.kind == "done" for v in self.signing)


def propose(attendee: Attendee, charter: Charter, previous: Group | None) -> Path:
    """Write a charter into the project and the exchange; return its file.

    Raises InputError where the charter cannot stand, or another is under way.
    """
    agreed = agree(charter, previous)
    _refuse_second_key(attendee.workspace, charter)
    path = attendee.workspace.group_folder(charter.group) / CHARTER_FILE
    if path.exists() and _under_way(attendee.workspace, charter):
        raise InputError(
            "another ceremony of this group is under way",
            where=str(path),
            hint="finish it with `relsign ceremony join`, or remove the file to give it up",
        )
    make_folder(path.parent)
    write_whole(path, charter.to_bytes())
    proposal = Proposal(ceremony=ceremony_id(charter), sender=attendee.name, charter=charter)
    _publish(attendee, proposal.to_bytes(), agreed)
    return path


def _refuse_second_key(workspace: Workspace, charter: Charter) -> None:
    """Refuse to make a key where one of that name was made by another ceremony."""
    path = workspace.group_folder(charter.group) / GROUP_FILE
    if charter.kind != "keygen" or not path.exists():
        return
    if present_group(workspace, charter.group).ceremony != ceremony_id(charter):
        raise InputError(
            "a key of that name exists",
            where=str(path),
            got=charter.group,
            hint="choose another name; for new shares of this key: `relsign ceremony reshare`",
        )


def _under_way(workspace: Workspace, charter: Charter) -> bool:
    """Say whether a ceremony other than this one was begun and not finished."""
    present = read_charter(workspace, charter.group)
    finished = workspace.group_folder(charter.group) / transcript_name(present)
    return present != charter and not finished.exists()


def read_charter(workspace: Workspace, group: str) -> Charter:
    """Return the charter of the ceremony under way; raise InputError where there is none."""
    path = workspace.group_folder(group) / CHARTER_FILE
    hint = "take it from whoever proposed the ceremony, or run `relsign ceremony new`"
    if (path.parent / GROUP_FILE).exists():
        hint = "no ceremony is under way; the key stands"
    return parse_charter(workspace.read(path, hint), str(path))


def read_previous_group(workspace: Workspace, charter: Charter) -> Group | None:
    """Return the group a charter follows, None at keygen; raise InputError if it is gone."""
    if charter.previous is None:
        return None
    earlier = workspace.group_folder(charter.group) / earlier_name(charter.previous)
    if earlier.exists():
        return parse_group(workspace.read(earlier, "run it again"), str(earlier))
    return present_group(workspace, charter.group)


def present_group(workspace: Workspace, name: str) -> Group:
    """Return the group's document as the project has it, not yet held against a root."""
    path = workspace.group_folder(name) / GROUP_FILE
    hint = "no key was made for it yet: `relsign ceremony new`"
    return parse_group(workspace.read(path, hint), str(path))


def earlier_name(digest: str) -> str:
    """Return the file name under which a group's document is kept when another follows it."""
    return f"earlier-{digest[:16]}.group.json"


def attend(attendee: Attendee, charter: Charter, *, again: bool = False) -> Attendance:
    """Do whatever is next in a ceremony the person agreed to.

    Raises InputError or HostError from vault, exchange or disk, VerificationError where
    documents contradict each other; what was published stays.
    """
    finished = _finished(attendee, charter)
    if finished is not None:
        return _after(attendee, charter, finished, again=again)
    agreed = agree(charter, read_previous_group(attendee.workspace, charter))
    person = Person(attendee.name, _seed(attendee, charter), _old_share(attendee, agreed))
    sent: list[str] = []
    while True:
        heard = listen(agreed, _received(attendee, agreed))
        step = next_step(agreed, heard, person)
        if not step.to_send or len(sent) >= MAX_STEPS:
            break
        for message in step.to_send:
            _publish(attendee, message.to_bytes(), agreed)
            sent.append(type(message).__name__.lower())
        if step.stopped is not None:
            break
    if step.done is None:
        return Attendance(tuple(sent), step)
    _keep(attendee, agreed, step, make_transcript(charter, heard).to_bytes())
    after = _after(attendee, charter, step.done.group, again=again)
    return Attendance(
        tuple(sent), step, after.group, after.signing, after.certificate, after.destroyed
    )


def has_joined(attendee: Attendee, charter: Charter) -> bool:
    """Say whether this person agreed to a charter before, or finished its ceremony."""
    held = f"ceremony-{ceremony_id(charter)[:32]}" in attendee.mine.vault.names()
    return held or _finished(attendee, charter) is not None


def public_step(workspace: Workspace, charter: Charter, exchange: Exchange) -> Step:
    """Return how a ceremony stands, as anybody sees it who reads the messages."""
    agreed = agree(charter, read_previous_group(workspace, charter))
    heard = listen(agreed, exchange.messages(agreed.ceremony).messages)
    return next_step(agreed, heard, None)


def _seed(attendee: Attendee, charter: Charter) -> bytes:
    """Return the seed of one ceremony, made and sealed at the first visit."""
    ceremony = ceremony_id(charter)
    vault, name = attendee.mine.vault, f"ceremony-{ceremony[:32]}"
    if name not in vault.names():
        held = HeldCeremony(
            ceremony=ceremony, name=attendee.name, seed=Digest(secrets.token_bytes(32).hex())
        )
        vault.store(name, held.to_bytes(), attendee.passphrase)
    held = parse_held_ceremony(vault.load(name, attendee.passphrase), name)
    if (held.ceremony, held.name) != (ceremony, attendee.name):
        raise VerificationError(
            "kept for another ceremony",
            where=name,
            got=held.ceremony[:16],
            hint="somebody exchanged files in your vault: restore it from your backup",
        )
    return bytes.fromhex(held.seed)


def _old_share(attendee: Attendee, agreed: Agreed) -> SecretShare | None:
    group = agreed.previous
    if group is None or attendee.name not in agreed.charter.dealers:
        return None
    return open_share(attendee.mine, group, attendee.passphrase)


def _publish(attendee: Attendee, payload: bytes, agreed: Agreed) -> None:
    envelope = seal_message(payload, CEREMONY_PAYLOAD, attendee.identity)
    attendee.remembering(agreed).put(agreed.ceremony, envelope)


def _keep(attendee: Attendee, agreed: Agreed, step: Step, transcript: bytes) -> None:
    """Keep what a ceremony made: the share first, the group's document last."""
    outcome, charter = step.done, agreed.charter
    _refuse_second_key(attendee.workspace, charter)
    if outcome is None:
        raise NotEnoughError("the ceremony is not over")
    if outcome.share is not None:
        keep_share(attendee.mine, outcome.group, outcome.share, attendee.passphrase)
    folder = attendee.workspace.group_folder(charter.group)
    make_folder(folder)
    write_whole(folder / transcript_name(charter), transcript)
    if agreed.previous is not None and charter.previous is not None:
        write_whole(folder / earlier_name(charter.previous), agreed.previous.to_bytes())
    write_whole(folder / GROUP_FILE, outcome.group.to_bytes())


def transcript_name(charter: Charter) -> str:
    """Return the file name of a ceremony's transcript."""
    return f"{charter.kind}-{ceremony_id(charter)[:16]}{TRANSCRIPT_ENDING}"


def _finished(attendee: Attendee, charter: Charter) -> Group | None:
    """Return the group a ceremony made, if this participant has all of it already.

    The project's files may have come from others, who finished first.
    """
    proven = _proven(attendee, charter)
    if proven is None:
        return None
    group = proven[1]
    holds = attendee.name in group.identities()
    return group if not holds or has_share(attendee.mine, group) else None


def _proven(attendee: Attendee, charter: Charter) -> tuple[Transcript, Group] | None:
    """Return the project's transcript and group of a ceremony, once they hold.

    Whoever writes to the project may have made the files, and shares are destroyed for them.
    """
    folder = attendee.workspace.group_folder(charter.group)
    try:
        data = read_bounded(folder / transcript_name(charter), MAX_TRANSCRIPT_BYTES)
        group = parse_group(read_bounded(folder / GROUP_FILE, MAX_TEXT_BYTES))
        transcript = parse_transcript(data)
        previous = read_previous_group(attendee.workspace, charter)
        made = verify_transcript(transcript, previous)
    except (InputError, NotEnoughError, VerificationError):
        return None
    return (transcript, group) if (transcript.charter, made) == (charter, group) else None


def _received(attendee: Attendee, agreed: Agreed) -> tuple[bytes, ...]:
    """Return a ceremony's messages: those all accepted, whatever somebody said afterwards."""
    proven = _proven(attendee, agreed.charter)
    if proven is not None:
        return tuple(base64.b64decode(text) for text in proven[0].messages)
    return attendee.remembering(agreed).messages(agreed.ceremony).messages


def _after(attendee: Attendee, charter: Charter, group: Group, *, again: bool) -> Attendance:
    """Do what follows a finished ceremony: sign the certificate, or destroy what is old."""
    done = Step("done")
    if charter.kind != "keygen":
        destroyed = _destroy_old(attendee, charter, group)
        _forget(attendee, charter)
        return Attendance((), done, group, destroyed=destroyed)
    certificate = _certificate(attendee, group)
    if certificate is not None and _has_revocation(attendee, group):
        _forget(attendee, charter)
        return Attendance((), done, group, (), certificate)
    return _sign_certificate(attendee, charter, group, again=again)


def _sign_certificate(
    attendee: Attendee, charter: Charter, group: Group, *, again: bool
) -> Attendance:
    member = as_member(
        attendee.mine, attendee.identity, group, attendee.passphrase, attendee.exchange
    )
    certificate = take_part(member, certificate_session(group, charter.expires), again=again)
    if made := certificate.outputs.get(CERTIFICATE):
        write_whole(attendee.workspace.group_folder(group.name) / CERTIFICATE_FILE, made)
    if _has_revocation(attendee, group):
        # The seed may be gone by now, and with it the keys that open what was sealed.
        if made is not None:
            _forget(attendee, charter)
        return Attendance((), Step("done"), group, (certificate,), made)
    privacy = _privacy(attendee, charter)
    revocation = take_part(member, revocation_session(group), again=again, privacy=privacy)
    if REVOCATION in revocation.outputs:
        name, secret = revocation_name(group.key), revocation.outputs[REVOCATION]
        attendee.mine.vault.store(name, secret, attendee.passphrase)
        if made is not None:
            _forget(attendee, charter)
    return Attendance((), Step("done"), group, (certificate, revocation), made)


def _certificate(attendee: Attendee, group: Group) -> bytes | None:
    """Return the group's certificate as the project has it, if it has one."""
    path = attendee.workspace.group_folder(group.name) / CERTIFICATE_FILE
    try:
        return read_bounded(path, MAX_TEXT_BYTES)
    except NotEnoughError:
        return None


def _has_revocation(attendee: Attendee, group: Group) -> bool:
    return revocation_name(group.key) in attendee.mine.vault.names()


def _privacy(attendee: Attendee, charter: Charter) -> Privacy:
    """Return the ceremony's keys for sealed messages, which serve the revocation too."""
    agreed = agree(charter, None)
    person = Person(attendee.name, _seed(attendee, charter))
    heard = listen(agreed, _received(attendee, agreed))
    dealings = {m.sender: m for m in heard.messages if isinstance(m, Dealing)}
    own = receiver_key(derive_key(person.seed, agreed.ceremony, "revocation", attendee.name))
    receivers = {
        name: bytes.fromhex(dealing.sealing[attendee.name])
        for name, dealing in dealings.items()
        if name != attendee.name
    }
    keys = {name: key_for(agreed, person, name) for name in receivers}
    return Privacy(
        {**receivers, attendee.name: own.public},
        {**keys, attendee.name: own},
        secrets.token_bytes,
    )


def revocation_name(group_key: str) -> str:
    """Return the name of a key's revocation in a vault."""
    return f"revocation-{group_key[:32]}"


def _destroy_old(attendee: Attendee, charter: Charter, group: Group) -> tuple[str, ...]:
    """Destroy this person's shares from before a reshare, once the new one lies in the vault."""
    if charter.kind != "reshare":
        return ()
    stays = attendee.name in group.identities()
    if stays and not has_share(attendee.mine, group):
        return ()
    vault = attendee.mine.vault
    old = older_shares(attendee.mine, group)
    for name in old:
        vault.destroy(name)
    return old


def _forget(attendee: Attendee, charter: Charter) -> None:
    """Destroy the seed: nothing is left to do."""
    vault = attendee.mine.vault
    name = f"ceremony-{ceremony_id(charter)[:32]}"
    if name in vault.names():
        vault.destroy(name)
