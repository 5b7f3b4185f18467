"""The stock in-toto verifier and ours, on the same releases.

Where an honest release passes in-toto it passes here, and whatever passes here passes
in-toto once the links of dissenting builders lie beside the evidence: ours is stricter
and nothing else.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.envelope import Envelope, Signature, pae, parse_envelope
from relsign.verify.verdict import Word
from tests.differential.changes import CHANGES
from tests.differential.stock_intoto import agreeing, owner_key, program_says, says_no
from tests.differential.worlds import VERSION, Files, random_world
from tests.verify.releases import secret

HONEST = 60
CHANGED = 238
"""Seventeen of each kind of change."""


def true_owners(files: Files, owners: tuple[str, ...]) -> list[str]:
    """Return the owners whose signature over the layout holds, under their own label."""
    layout = parse_envelope(files[LAYOUT_FILE], LAYOUT_FILE)
    signed = {signature.keyid: signature.sig for signature in layout.signatures}
    found = []
    for name in owners:
        key = Ed25519PublicKey.from_public_bytes(secret(name).verify_key.encode())
        try:
            key.verify(
                signed.get(str(owner_key(name)["keyid"]), b""),
                pae(layout.payload_type, layout.payload),
            )
        except InvalidSignature:
            continue
        found.append(name)
    return found


def test_an_honest_release_that_in_toto_accepts_is_verified(tmp_path: Path) -> None:
    kinds: Counter[tuple[bool, ...]] = Counter()
    checked = 0
    for number in range(HONEST):
        world = random_world(random.Random(f"honest {number}"))  # noqa: S311 - the same each run
        files = world.files()
        no = says_no(tmp_path / str(number), files, world.artifacts, world.owners)
        decision = world.decide(files)
        assert (no, decision.verdict.word) == ("", Word.VERIFIED), (number, decision.verdict)
        kinds[world.commit, world.hosts, world.openpgp] += 1
        checked += world.checks
    # Every way a release can be made was among them.
    assert len(kinds) == 8, kinds
    assert 10 < checked < HONEST - 10


def test_what_we_accept_in_toto_accepts_without_the_dissenting_links(tmp_path: Path) -> None:
    said: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for number in range(CHANGED):
        chance = random.Random(f"changed {number}")  # noqa: S311 - the same each run
        world, change = random_world(chance), CHANGES[number % len(CHANGES)]
        files = change(world, chance)
        decision = world.decide(files)
        said[decision.verdict.word.value] += 1
        if decision.verdict.word is not Word.VERIFIED:
            continue
        survived[change.__name__] += 1
        owners = true_owners(files, world.owners)
        no = says_no(tmp_path / str(number), agreeing(files, VERSION), world.artifacts, owners)
        assert no == "", (number, change.__name__, no)
    assert CHANGED >= 200
    assert min(said[word.value] for word in Word) >= 20, said
    assert said["VERIFIED"] >= 60, said
    # Every kind of change was survived by some release.
    assert {change.__name__ for change in CHANGES} == set(survived), survived


@pytest.mark.parametrize("number", range(3))
def test_the_program_says_as_its_library_does(number: int, tmp_path: Path) -> None:
    world = random_world(random.Random(f"program {number}"))  # noqa: S311 - the same each run
    files = world.files()
    assert program_says(tmp_path / "a" / "r", files, world.artifacts, world.owners) == 0
    assert world.decide(files).verdict.word is Word.VERIFIED
    name = min(world.artifacts)
    world.artifacts[name] += b"!"
    assert program_says(tmp_path / "b" / "r", files, world.artifacts, world.owners) == 1
    assert world.decide(files).verdict.word is Word.REFUSED


def test_labels_decide_nothing_here_and_everything_there(tmp_path: Path) -> None:
    """The one way in which ours accepts more: DSSE's keyids are not authenticated.

    in-toto looks a signature up by its keyid and knows no link with another label; with
    the labels put right it accepts the same signatures.
    """
    world = random_world(random.Random("labels"), builders=3)  # noqa: S311 - the same each run
    good = world.files()
    name = next(name for name in sorted(good) if name.startswith("build."))
    link = parse_envelope(good[name], name)
    for label in ("", "ef" * 32):
        odd = Envelope(
            payload=link.payload,
            payload_type=link.payload_type,
            signatures=(Signature(keyid=label, sig=link.signatures[0].sig),),
        ).to_bytes()
        # Only as many builders as are needed, so that this link counts.
        files = {n: d for n, d in good.items() if n.endswith(name[-13:]) or ".link" not in n}
        others = [b for b in world.builders if world.parties()[b].keyid[:8] not in name]
        for builder in others[: world.thresholds.builders - 1]:
            files |= world.links(builder)
        no = says_no(tmp_path / f"good{label}", files, world.artifacts, world.owners)
        assert no == ""
        files[name] = odd
        assert says_no(tmp_path / f"odd{label}", files, world.artifacts, world.owners) != ""
        assert world.decide(files).verdict.word is Word.VERIFIED
