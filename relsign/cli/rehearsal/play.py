"""The acts of a rehearsal, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relsign.cli.rehearsal.attacks import lying_participant, malicious_builder
from relsign.cli.rehearsal.losses import lose_owner_key, lose_share, steal_share
from relsign.cli.rehearsal.making import first_release, make_people, make_release_key
from relsign.cli.rehearsal.stage import Stage, Step


@dataclass(frozen=True, slots=True)
class Act:
    """One act."""

    title: str
    should: str
    play: Callable[[Stage], None]
    is_needed: bool = False
    """Whether nothing can be played after it, if it fails."""


ACTS = (
    Act("Everybody makes a key",
        "The cards are in the roster, and a root is there to be signed.",
        make_people, is_needed=True),
    Act("The release key is made",
        "It exists nowhere; owners sign the root that names it.",
        make_release_key, is_needed=True),
    Act("A release",
        "Built, approved, signed by people and the release key, published, VERIFIED; a file "
        "that was changed is REFUSED.",
        first_release, is_needed=True),
    Act("A share is lost",
        "The others make it again; nobody learns it.", lose_share),
    Act("An owner's key is lost",
        "The other owners replace it, and the release stays VERIFIED.", lose_owner_key),
    Act("A builder is malicious",
        "Signers and the gate refuse, and name the builder.",
        malicious_builder, is_needed=True),
    Act("A participant lies",
        "The others name it, sign without it, and publish.", lying_participant),
    Act("A share is stolen",
        "Shares are dealt anew; what was stolen is no share any more.", steal_share),
)  # fmt: skip


def play(stage: Stage) -> Iterator[Step]:
    """Play all acts; end where one fails that the others need."""
    for act in ACTS:
        step = stage.act(act.title, act.should, act.play)
        yield step
        if step.trouble and act.is_needed:
            return
