"""All ceremonies of a group, checked again from what is public."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.groups import parse_group
from relsign.crypto.openpgp_make import fingerprint
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.charter import (
    MAX_TRANSCRIPT_BYTES,
    Group,
    Transcript,
    parse_transcript,
)
from relsign.formats.roster import Ed25519Key, FrostKey, Member
from relsign.sign.ceremony.charter import ceremony_id
from relsign.sign.ceremony.transcript import verify_transcript
from relsign.sign.groups.attendance import TRANSCRIPT_ENDING, present_group
from relsign.system.files import read_bounded
from relsign.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class History:
    """The groups that followed one another, the present one last, and a line for each."""

    groups: tuple[Group, ...]
    lines: tuple[str, ...]


def verify_history(workspace: Workspace, name: str) -> History:
    """Check each ceremony of a group, from the first to the present document.

    Raises VerificationError for what does not hold, or where the present document does
    not follow; NotEnoughError where a transcript is missing.
    """
    transcripts = _transcripts(workspace.group_folder(name))
    present = present_group(workspace, name)
    group: Group | None = None
    groups: list[Group] = []
    lines: list[str] = []
    while True:
        following = [t for t in transcripts if t.charter.previous == _digest(group)]
        for transcript in following:
            transcripts.remove(transcript)
        if not following:
            break
        made = [verify_transcript(transcript, group) for transcript in following]
        for transcript, result in zip(following, made, strict=True):
            lines.append(_line(transcript, result))
        after = [result for result in made if result != group]
        if len(after) > 1:
            raise VerificationError(
                "two ceremonies follow one group",
                where=f"keys/groups/{name}",
                hint="find out which one counts, and take the other's transcript away",
            )
        if not after:
            break
        group = after[0]
        groups.append(group)
    if group is None:
        raise NotEnoughError(
            "the transcript of the first ceremony is not there",
            where=f"keys/groups/{name}",
            hint="take it from another participant",
        )
    if group != present:
        raise VerificationError(
            "the present document does not follow from the ceremonies",
            where=f"keys/groups/{name}/group.json",
            expected=str(_digest(group)),
            got=str(_digest(present)),
            hint="a transcript is missing, or the document was changed",
        )
    return History(tuple(groups), tuple(lines))


def require_ceremony(workspace: Workspace, member: Member, known: Iterable[Member]) -> None:
    """Refuse the card of a group that its ceremonies did not make; others pass.

    Raises VerificationError for another key, threshold, people or certificate than the
    transcripts in the project give, NotEnoughError or InputError where they are not there.
    """
    if not isinstance(member.key, FrostKey):
        return
    groups = verify_history(workspace, member.name).groups
    group = groups[-1]
    _require_people(member, groups, tuple(known))
    names = tuple(h.name for h in group.holders)
    found = (member.key.public, member.key.threshold, member.key.participants, member.roles)
    if found != (group.key, group.threshold, names, (group.role,)):
        raise VerificationError(
            "the card is not what the group's ceremonies made",
            where=member.name,
            expected=f"{group.key[:16]}, {group.threshold} of {', '.join(names)}, {group.role}",
            got=f"{found[0][:16]}, {found[1]} of {', '.join(found[2])}, {', '.join(found[3])}",
            hint="take the card that `relsign ceremony join` wrote",
        )
    key = parse_group(member.key, member.name)
    if key.fingerprint != fingerprint(key.raw, group.created).lower():
        raise VerificationError(
            "the card's certificate is not the group's",
            where=member.name,
            expected=fingerprint(key.raw, group.created).lower(),
            got=key.fingerprint or "none",
        )


def _require_people(member: Member, groups: tuple[Group, ...], known: tuple[Member, ...]) -> None:
    """Refuse ceremonies of others under the names of the roster's people.

    `known` is the roster, with what is added to it.  Where it has the key already, only
    the last group counts: who was there before may have left since.
    """
    people = {m.name: m.key.public for m in known if isinstance(m.key, Ed25519Key)}
    keys = {m.key.public for m in known if isinstance(m.key, FrostKey) and m is not member}
    for group in groups[-1:] if groups[-1].key in keys else groups:
        strange = [h.name for h in group.holders if people.get(h.name) != h.identity]
        if strange:
            raise VerificationError(
                "the ceremonies were held with other keys than the roster's people have",
                where=member.name,
                got=", ".join(strange),
                hint="ask each of them whether they took part; add their own cards first",
            )


def _transcripts(folder: Path) -> list[Transcript]:
    found: list[Transcript] = []
    for path in sorted(folder.glob(f"*{TRANSCRIPT_ENDING}")):
        data = read_bounded(path, MAX_TRANSCRIPT_BYTES)
        found.append(parse_transcript(data, str(path)))
    return found


def _digest(group: Group | None) -> str | None:
    return None if group is None else sha256_hex(group.to_bytes())


def _line(transcript: Transcript, group: Group) -> str:
    charter = transcript.charter
    people = ", ".join(h.name for h in group.holders)
    return (
        f"✓ {charter.kind} {ceremony_id(charter)[:16]}: {len(transcript.messages)} messages, "
        f"{group.threshold} of {len(group.holders)}: {people}"
    )
