"""What is said of a ceremony: its charter, whom it waits for, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relsign.cli.options import show_path
from relsign.cli.talk import talk
from relsign.errors import VerificationError

if TYPE_CHECKING:
    from relsign.formats.charter import Charter
    from relsign.sign.ceremony.member import Visit
    from relsign.sign.ceremony.steps import Step
    from relsign.sign.groups.attendance import Attendance
    from relsign.system.workspace import Workspace

MAX_LINES = 10


def show_charter(charter: Charter) -> None:
    """Show what a person agrees to by taking part."""
    from relsign.crypto.words import digest_words
    from relsign.sign.ceremony.charter import ceremony_id

    what = {
        "keygen": "make a new key",
        "reshare": "deal the shares anew, under the same key",
        "repair": f"make the share of {charter.lost} again",
    }
    people = ", ".join(p.name for p in charter.participants)
    talk(f"Ceremony of {charter.group} ({charter.role} of {charter.project}): {what[charter.kind]}")
    talk(f"  {charter.threshold} of {len(charter.participants)} sign: {people}")
    if charter.kind != "keygen":
        talk(f"  dealing: {', '.join(charter.dealers)}")
    talk(f"  OpenPGP {charter.user_id}, until {charter.expires.date()}")
    talk(f"  words {digest_words(ceremony_id(charter))}")
    talk("  Compare the words with the others over another channel.")


def show_attendance(workspace: Workspace, charter: Charter, attendance: Attendance) -> None:
    """Say what a visit did; raise VerificationError where the ceremony was stopped."""
    for kind in attendance.sent:
        talk(f"  sent {kind}")
    for visit in attendance.signing:
        show_visit(visit)
    for name in attendance.destroyed:
        talk(f"  destroyed {name}: it signs no more on this machine; do so with every backup of it")
    if attendance.group is None:
        show_standing(charter, attendance.step)
        return
    group = attendance.group
    talk(f"{group.name}: key {group.key[:16]}…, {group.threshold} of {len(group.holders)}")
    if not attendance.is_over:
        talk("Next: run this again when the others have been there")
        return
    from relsign.sign.groups.people import is_enrolled, write_card

    card = write_card(workspace, group)
    talk("nothing is left to do for you in this ceremony")
    if card is not None and not is_enrolled(workspace, card):
        replace = "" if charter.kind == "keygen" else "--replace "
        talk(f"Next: an owner runs `relsign root add {replace}{show_path(card)}`")


def show_standing(charter: Charter, step: Step) -> None:
    """Say where a ceremony stands; raise VerificationError where it was stopped."""
    for line in step.lines[:MAX_LINES]:
        talk(f"  ignored: {line}")
    if len(step.lines) > MAX_LINES:
        talk(f"  ignored: {len(step.lines) - MAX_LINES} more messages")
    if step.stopped is not None:
        raise VerificationError(
            f"the ceremony is stopped: {step.stopped.reason}",
            where=f"ceremony of {charter.group}",
            got=", ".join(step.stopped.culprits),
            hint="begin a new one without them: `relsign ceremony new` or `reshare`",
        )
    if step.awaiting:
        talk(f"waiting for {', '.join(step.awaiting)} ({step.step})")
    else:
        talk(f"{step.step}: run `relsign ceremony join {charter.group} --as NAME`")


def show_visit(visit: Visit) -> None:
    """Say what one visit to a signing session did, and whom it waits for."""
    words = {"commit": "committed", "answer": "signed a part"}
    for move in visit.did:
        talk(f"  {words[move.kind]} (attempt {move.attempt})")
    for name in visit.stands.culprits:
        talk(f"  CULPRIT: {name} sent what does not hold, and is left out")
    for line in visit.ignored[:MAX_LINES]:
        talk(f"  ignored: {line}")
    last = visit.last
    if last.kind == "excluded":
        talk("  you are left out: a message in your name did not hold; see docs/runbook.md")
    elif last.kind == "wait" and last.any_of:
        talk(f"  waiting for {last.any_of} of: {', '.join(last.awaiting) or 'nobody is left'}")
    elif last.kind == "wait":
        talk(f"  waiting for {', '.join(last.awaiting)}")


def standing_json(charter: Charter, step: Step) -> dict[str, object]:
    """Return where a ceremony stands, for scripts."""
    from relsign.sign.ceremony.charter import ceremony_id

    return {
        "ceremony": ceremony_id(charter),
        "group": charter.group,
        "kind": charter.kind,
        "step": step.step,
        "awaiting": list(step.awaiting),
        "stopped": None if step.stopped is None else step.stopped.reason,
        "culprits": [] if step.stopped is None else list(step.stopped.culprits),
        "ignored": list(step.lines),
    }
