"""A renewal goes forward only: nothing that still counts is taken from what is public.

What counts is judged by the new root: who left it takes signatures and links along.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.stock import STOCK, place_of
from relsign.errors import InputError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.link import STEP_NAMES, link_file_name
from relsign.formats.provenance import provenance_file_name
from relsign.formats.statement import parse_statement
from relsign.publish.release import Candidate
from relsign.publish.signatures import MAX_SIGNATURE_BYTES
from relsign.system.files import read_bounded
from relsign.verify.root import TrustedRoot

_COLLECT = "run `relsign collect` on the folder of whoever published it"


def require_newer(
    contents: Mapping[str, bytes],
    candidate: Candidate,
    root: TrustedRoot,
    final: Path,
    now: datetime,
) -> None:
    """Refuse evidence older than what is published: an old copy of the project's."""
    owners, signers = root.having("owner"), root.statement_signers
    for name, parties in ((LAYOUT_FILE, owners), (STATEMENT_FILE, signers)):
        where = os.fspath(final / "in-toto" / name)
        try:
            old = parse_envelope(contents.get(name, b""), name)
            new = parse_envelope(candidate.files[f"in-toto/{name}"], name)
            lost = _is_older(name, old, new, parties, now)
        except InputError as error:
            raise VerificationError(
                f"published: {error.what}",
                where=where,
                hint="compare it with a copy you trust; somebody or something changed it",
            ) from error
        if lost:
            raise VerificationError(
                "the published evidence is newer", where=where, got=lost, hint=_COLLECT
            )


def require_nothing_lost(
    there: Mapping[str, str],
    here: Mapping[str, str],
    candidate: Candidate,
    root: TrustedRoot,
    final: Path,
    now: datetime,
) -> None:
    """Refuse a renewal without a published link, provenance or stock signature.

    Where it lies does not matter: a builder may have become a dissenter since.
    """
    published = {PurePosixPath(path).name for path in there}
    staged = {PurePosixPath(path).name for path in here}
    wanted = _builders_files(published, root.having("builder")) & published
    for name in STOCK:
        if name in there:
            data = read_bounded(final / name, MAX_SIGNATURE_BYTES)
            manifest = candidate.files["SHA256SUMS"]
            place = place_of(name, data, root.statement_signers, manifest, now)
            wanted |= {place} if place else set()
    lost = sorted(wanted - staged)
    if lost:
        raise VerificationError(
            "the published evidence says more",
            where=os.fspath(final),
            got=f"without {lost[0]}",
            hint=_COLLECT,
        )


def _builders_files(published: set[str], builders: tuple[Party, ...]) -> set[str]:
    """Return what builders of the root may have published under the keys they have now."""
    names: set[str] = set()
    for party in builders:
        links = {link_file_name(step, party.keyid) for step in STEP_NAMES}
        names |= links
        # Provenance is published only beside a link by the same key.
        if links & published:
            names.add(provenance_file_name(party.name))
    return names


def _is_older(
    name: str, old: Envelope, new: Envelope, parties: tuple[Party, ...], now: datetime
) -> str:
    """Say in what the new envelope falls behind the old one, or nothing."""
    if old.payload == new.payload:
        before, after = (
            {party.name for party in verify_envelope(e, parties, now).valid} for e in (old, new)
        )
        return f"without the signature of {min(before - after)}" if before - after else ""
    if name == LAYOUT_FILE:
        then, at = (parse_layout(e.payload, name).expires for e in (old, new))
    else:
        then, at = (parse_statement(e.payload, name).predicate.released_at for e in (old, new))
    return f"{at.isoformat()}, before {then.isoformat()}" if at < then else ""
