"""The table of broken releases where everything is asked: steps 1 and 5 to 9."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec.structs import replace

from relsign.formats.checkpoint import LogProof
from relsign.formats.policy import Revocation, RevokedKey, Thresholds
from relsign.formats.root import Root, root_file_name
from relsign.publish.index import release_entry
from relsign.verify.demands import Demands, Level
from relsign.verify.freshness import ListingFiles
from relsign.verify.inclusion import PROOF_FILE, log_entry
from relsign.verify.verdict import Outcome
from tests.verify.broken import added, keyid, replaced
from tests.verify.full_release import (
    HOSTS,
    FullRelease,
    commitment_of,
    full_root,
    make_listing,
    sealed_commitment,
    seen,
)
from tests.verify.logs import MemoryLog, make_policy
from tests.verify.releases import NOW, make_fingerprint, member, root_of, signed_root

OTHER = make_fingerprint(b"other bytes")
A, B = (commitment_of(name, make_fingerprint())[0] for name in ("builder-a", "builder-b"))
MALLORY = member("mallory", "mallory", "evil", "owner")


def next_root(
    version: int = 2, owners: tuple[str, ...] = ("olga", "oona"), **policy: object
) -> bytes:
    """Return a later version of the root, as these people signed it."""
    return signed_root(root_of(full_root(**policy).policy, version), owners)


def hijacked_root(*owners: str) -> bytes:
    """Return a version 2 in which one thief is the owner, signed by these."""
    others = tuple(m for m in full_root().members if "owner" not in m.roles)
    members = tuple(sorted((*others, MALLORY), key=lambda m: m.name))
    thresholds = Thresholds(owners=1, signers=2, builders=2, organisations=2)
    return next_root(2, owners, members=members, thresholds=thresholds)


def with_two_owner_keys() -> Root:
    twice = member("olga2", "olga", "acme", "owner")
    return full_root(members=tuple(sorted((*full_root().members, twice), key=lambda m: m.name)))


def tuf_says_otherwise() -> Root:
    """Return a root whose TUF part asks for one owner where relsign's asks for two."""
    root = full_root()
    roles = msgspec.structs.replace(
        root.roles, root=msgspec.structs.replace(root.roles.root, threshold=1)
    )
    return msgspec.structs.replace(root, roles=roles)


def whole_log(entry: bytes | None = None) -> MemoryLog:
    """Return the log with the release, or something else, at index 3."""
    log = MemoryLog()
    log.append(FullRelease().entry() if entry is None else entry)
    return log


def proven(proof: LogProof) -> FullRelease:
    return FullRelease(change_files=replaced(PROOF_FILE, proof.to_bytes()))


def listing_with(*versions: tuple[str, int, str]) -> ListingFiles:
    entries = tuple(
        release_entry("demo", version, number, statement, b"bundle")
        for version, number, statement in versions
    )
    return make_listing(entries, "pia", NOW)


REFUSED, MISSING = Outcome.REFUSED, Outcome.MISSING
Broken = tuple[FullRelease, str, Outcome, str]
ELSE = "e" * 64
PARANOID = Demands(level=Level.PARANOID)

BROKEN_FULL: dict[str, Broken] = {
    # 1 root
    "one stolen owner key makes the next root": (
        FullRelease(newer_roots=(hijacked_root("olga", "mallory"),)),
        "root", MISSING, "signed by 1 of the owners of version 1 (need 2)",
    ),
    "a next root that only its own owners signed": (
        FullRelease(newer_roots=(hijacked_root("mallory"),)),
        "root", MISSING, "signed by 0 of the owners of version 1",
    ),
    "a next root that only the old owners signed": (
        FullRelease(newer_roots=(hijacked_root("olga", "oona"),)),
        "root", MISSING, "signed by 0 of its own owners",
    ),
    "the bundle brings a root nobody signed": (
        FullRelease(change_files=added({root_file_name(2): next_root(2, ())})),
        "root", MISSING, "signed by 0 of its own owners",
    ),
    "the bundle brings a thief's root": (
        FullRelease(change_files=added({root_file_name(2): hijacked_root("mallory")})),
        "root", MISSING, "the owners of version 1",
    ),
    "the bundle brings a root that is none": (
        FullRelease(change_files=added({root_file_name(2): b"{}"})),
        "root", REFUSED, "field missing",
    ),
    "a version of the root is left out": (
        FullRelease(newer_roots=(next_root(3),)), "root", REFUSED, "not the next version",
    ),
    "a next root of another project": (
        FullRelease(newer_roots=(next_root(2, project="other"),)),
        "root", REFUSED, "a root of another project",
    ),
    "the newest root has expired": (
        FullRelease(newer_roots=(signed_root(root_of(full_root().policy, 2, NOW)),)),
        "root", REFUSED, "expired",
    ),
    "a root one owner short": (
        FullRelease(root_signers=("olga",)), "root", MISSING, "signed by 1 of its own owners",
    ),
    "a root signed by strangers": (
        FullRelease(root_signers=("sam", "sara")), "root", MISSING, "signed by 0",
    ),
    "one owner with two owner keys": (
        FullRelease(root=with_two_owner_keys()), "root", REFUSED, "olga holds two owner keys",
    ),
    "a revoked key enrolled again": (
        FullRelease(
            root=full_root(
                revoked_keys=(RevokedKey(name="sam", keyid=keyid("sam"), reason="laptop stolen"),)
            )
        ),
        "root", REFUSED, "the key of sam is revoked: laptop stolen",
    ),
    "TUF's part of the root says other than ours": (
        FullRelease(root=tuf_says_otherwise()), "root", REFUSED, "do not follow from the members",
    ),
    "the log of the root names nobody": (
        FullRelease(root=full_root(log=make_policy(members=("nobody",)))),
        "root", REFUSED, "nobody",
    ),
    # 3 signers
    "a signer whose key was revoked": (
        FullRelease(
            root=full_root(
                members=tuple(m for m in full_root().members if m.name != "sam"),
                revoked_keys=(
                    RevokedKey(
                        name="sam", keyid=keyid("sam"), reason="stolen", replacement="sven"
                    ),
                ),
            )
        ),
        "signers", MISSING, "the key of sam is revoked: stolen; sven took its place",
    ),
    "fewer signers than the person asks for": (
        FullRelease(demands=Demands(signers=3)), "signers", MISSING, "2 of the 3 signers needed",
    ),
    # 4 layout
    "an owner whose key was revoked": (
        FullRelease(
            root=full_root(
                members=tuple(m for m in full_root().members if m.name != "olga"),
                revoked_keys=(RevokedKey(name="olga", keyid=keyid("olga"), reason="stolen"),),
            ),
            root_signers=("oona", "otto"),
        ),
        "layout", MISSING, "the key of olga is revoked: stolen",
    ),
    # 5 builders
    "fewer builders than the person asks for": (
        FullRelease(demands=Demands(builders=3)), "builders", MISSING, "need 3",
    ),
    "fewer organisations than the person asks for": (
        FullRelease(demands=Demands(builders=3, organisations=3)), "builders", MISSING, "need 3",
    ),
    "the same engine twice": (
        FullRelease(hosts=dict.fromkeys(HOSTS, HOSTS["builder-a"])),
        "builders", MISSING, "used 1 engines (need 2)",
    ),
    "builders that say nothing of their machines": (
        FullRelease(hosts={}), "builders", MISSING, "used 0 engines (need 2)",
    ),
    "no commitments": (
        FullRelease(committed=()), "builders", MISSING, "builder-a",
    ),
    "one builder did not commit": (
        FullRelease(committed=("builder-a",)), "builders", MISSING, "builder-b",
    ),
    "a commitment is swapped for another builder's": (
        FullRelease(change_files=lambda files: {**files, A: files[B]}),
        "builders", MISSING, "builder-a",
    ),
    "a commitment to other bytes": (
        FullRelease(
            change_files=lambda files: files | sealed_commitment("builder-a", OTHER)
        ),
        "builders", MISSING, "builder-a",
    ),
    # 6 fingerprint
    "an own rebuild got other bytes": (
        FullRelease(rebuilt={"linux": OTHER.to_bytes()}),
        "fingerprint", REFUSED, "your own rebuild of linux has another fingerprint",
    ),
    "an own rebuild of no target": (
        FullRelease(rebuilt={"windows": OTHER.to_bytes()}),
        "fingerprint", REFUSED, "no such target",
    ),
    "no own rebuild at level paranoid": (
        FullRelease(demands=PARANOID), "fingerprint", MISSING, "no own rebuild of linux",
    ),
    # 7 revocation, rollback
    "revoked by version": (
        FullRelease(
            root=full_root(
                revoked=(Revocation(version="1.0", reason="backdoor", replacement="1.1"),)
            )
        ),
        "revocation", REFUSED, "revoked by the owners: backdoor",
    ),
    "revoked by a root that the bundle brings": (
        FullRelease(
            change_files=added(
                {root_file_name(2): next_root(revoked=(Revocation(version="1.0", reason="bad"),))}
            )
        ),
        "revocation", REFUSED, "revoked by the owners: bad",
    ),
    "older than what was seen": (
        FullRelease(seen=(seen(3, "1.1"),)), "revocation", REFUSED, "older than 1.1",
    ),
    "another release under the same number was seen": (
        FullRelease(seen=(seen(2, "1.0.1"),)),
        "revocation", REFUSED, "two different releases under one number",
    ),
    "another release under the same version was seen": (
        FullRelease(seen=(seen(1, "1.0"),)),
        "revocation", REFUSED, "two different releases under one number",
    ),
    "not the version asked for": (
        FullRelease(wanted="1.1"), "revocation", REFUSED, "not the version asked for",
    ),
    # 8 log
    "no log proof": (
        FullRelease(logged=False), "log", MISSING, "no proof that the log has this release",
    ),
    "the proof of another release": (
        proven(whole_log(log_entry("demo", "1.0", ELSE)).proof(3)), "log", REFUSED, "",
    ),
    "the proof of another entry": (proven(whole_log().proof(2)), "log", REFUSED, ""),
    "a log with another history": (
        FullRelease(
            change_files=replaced(
                PROOF_FILE,
                replace(
                    whole_log().proof(3),
                    checkpoint=whole_log().split_view(0, b"other").checkpoint(),
                ).to_bytes(),
            )
        ),
        "log", REFUSED, "",
    ),
    "a log that nobody signed": (proven(whole_log().proof(3, by=())), "log", REFUSED, ""),
    "too few witnesses": (
        proven(whole_log().proof(3, cosigned={"wanda": NOW})), "log", MISSING, "",
    ),
    "no witness": (proven(whole_log().proof(3, cosigned={})), "log", MISSING, ""),
    "a log proof that is none": (
        FullRelease(change_files=replaced(PROOF_FILE, b"\xff")), "log", REFUSED, "",
    ),
    "a person asks for a log where there is none": (
        FullRelease(root=full_root(log=None), demands=Demands(log=True)),
        "log", MISSING, "the root names no transparency log",
    ),
    "a person asks for witnesses where the root asks for none": (
        FullRelease(
            root=full_root(log=make_policy(group=(), quorum="none", max_age_days=None)),
            demands=Demands(log=True),
            change_files=replaced(PROOF_FILE, whole_log().proof(3, cosigned={}).to_bytes()),
        ),
        "log", MISSING, "no witness has seen the log",
    ),
    # 9 fresh
    "no listing": (FullRelease(listed=False), "fresh", MISSING, "no listing"),
    "an expired listing": (
        FullRelease(listed_at=NOW - timedelta(days=8)), "fresh", MISSING, "expired",
    ),
    "a listing older than the person takes": (
        FullRelease(listed_at=NOW - timedelta(days=5), demands=Demands(freshness_days=3)),
        "fresh", MISSING, "",
    ),
    "a listing from the future": (
        FullRelease(listed_at=NOW + timedelta(days=2)), "fresh", MISSING, "future",
    ),
    "a listing that no publisher signed": (
        FullRelease(publisher="sam"), "fresh", MISSING, "no publisher of this project signed",
    ),
    "a listing of another project": (
        FullRelease(listing_files=make_listing((), "pia", NOW, "other")),
        "fresh", MISSING, "is of other",
    ),
    "a newer release is listed": (
        FullRelease(newer=("1.1",)), "fresh", REFUSED, "1.1",
    ),
    "another statement is listed": (
        FullRelease(listing_files=listing_with(("1.0", 2, ELSE))), "fresh", REFUSED, "",
    ),
    "the listing does not have it": (
        FullRelease(listing_files=listing_with(("0.9", 1, ELSE))), "fresh", MISSING, "",
    ),
}  # fmt: skip
