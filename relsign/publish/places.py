"""Where a release's evidence lies in its published folder.

Stock in-toto-verify demands that all links of a step in `in-toto/` say the same.  The
links of builders who got other bytes are published all the same, one folder below.
"""

from __future__ import annotations

from collections.abc import Mapping

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.layout import Layout
from relsign.formats.link import link_file_name
from relsign.verify.agreement import Reports, find_agreement

EVIDENCE = "in-toto"
DISSENT = "in-toto/dissent"


def dissenting_links(layout: Layout, reports: Reports, organisations: int) -> frozenset[str]:
    """Return the names of links that say otherwise than the quorum of their step.

    Builders the layout does not name are passed over, as every verifier does.  Without
    a quorum nobody dissents: the gate refuses such a release.
    """
    named = {bytes.fromhex(key.keyval.public) for key in layout.keys.values()}
    heard = tuple(r for r in reports.standing if r.builder.key.materials <= named)
    names: set[str] = set()
    for step in layout.steps:
        try:
            agreement = find_agreement(step.name, Reports(heard, ()), step.threshold, organisations)
        except (NotEnoughError, VerificationError):
            continue
        names |= {link_file_name(step.name, r.builder.keyid) for r in agreement.dissent}
    return frozenset(names)


def evidence_place(name: str, dissenting: frozenset[str]) -> str:
    """Return the path below the version's folder of one file of the bundle."""
    if name.endswith(".fingerprint.json"):
        return name
    return f"{DISSENT if name in dissenting else EVIDENCE}/{name}"


def published_places(contents: Mapping[str, bytes], there: Mapping[str, str]) -> dict[str, str]:
    """Return path -> SHA-256 that a published folder must have for a bundle's contents.

    Who dissented was settled when it was published, maybe under another root: a link
    may lie in either place, and must lie in exactly one.
    """
    below = frozenset(
        name
        for name in contents
        if name.endswith(".link")
        and f"{DISSENT}/{name}" in there
        and f"{EVIDENCE}/{name}" not in there
    )
    return {evidence_place(name, below): sha256_hex(data) for name, data in contents.items()}
