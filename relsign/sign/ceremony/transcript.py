"""One step of any ceremony, and a whole one checked again from what is public."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from relsign.errors import VerificationError
from relsign.formats.ceremony import CeremonyMessage
from relsign.formats.charter import CeremonyKind, Charter, Group, Transcript
from relsign.formats.envelope import decode_base64
from relsign.sign.ceremony.charter import Agreed, agree
from relsign.sign.ceremony.hearing import Heard
from relsign.sign.ceremony.keygen import keygen
from relsign.sign.ceremony.repair import repair
from relsign.sign.ceremony.reshare import reshare
from relsign.sign.ceremony.steps import (
    Person,
    Script,
    Step,
    Table,
    listen,
    play,
    refuse_two_tongues,
)

_SCRIPTS: Mapping[CeremonyKind, Script] = {"keygen": keygen, "reshare": reshare, "repair": repair}


def next_step(agreed: Agreed, heard: Heard[CeremonyMessage], me: Person | None) -> Step:
    """Return what `me` is to do next in a ceremony; without `me`, how it stands.

    Every message ever received belongs into `heard`: what an exchange no longer shows
    counts all the same.  Raises InputError for a seed of another length, and where a
    dealer has not the share of the group before.
    """
    return play(_SCRIPTS[agreed.charter.kind], Table(agreed, heard, me))


def make_transcript(charter: Charter, heard: Heard[CeremonyMessage]) -> Transcript:
    """Return a ceremony's charter and messages, to be kept for ever."""
    messages = sorted(base64.b64encode(envelope).decode() for envelope in heard.envelopes)
    return Transcript(charter=charter, messages=tuple(messages))


def verify_transcript(transcript: Transcript, previous: Group | None) -> Group:
    """Return the group that a ceremony made, having checked it from public data alone.

    (1) the charter fits the group before it; (2) every message counts, and nobody said
    two things in one place; (3) every dealing, proof, point and complaint is checked as
    participants do; (4) all who must have accepted the group, having heard the same.
    What was in the sealed boxes nobody else sees: that each fits, its receiver signed.

    Raises VerificationError (CulpritError where it is somebody's doing) for what fails,
    NotEnoughError for a ceremony that was not finished, InputError for a charter that
    does not fit `previous`.
    """
    agreed = agree(transcript.charter, previous)  # (1)
    received = [
        decode_base64(text, f"transcript: messages[{n}]")
        for n, text in enumerate(transcript.messages)
    ]
    heard = listen(agreed, received)
    table = Table(agreed, heard, None)
    refuse_two_tongues(table)  # (2)
    if heard.ignored or len(heard.envelopes) != len(received):
        raise VerificationError(
            "a message of the transcript does not count",
            where="transcript",
            got=heard.ignored[0] if heard.ignored else "one message twice",
            hint="get the transcript from another participant",
        )
    return _SCRIPTS[agreed.charter.kind](table).group  # (3), (4)
