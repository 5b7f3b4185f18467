"""The table of broken releases: how each is broken, the row that must say so, and its words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae, parse_envelope
from relsign.formats.layout import Ed25519Public as LayoutPublic
from relsign.formats.layout import Layout, LayoutKey, Step
from relsign.formats.link import ReleaseBinding, Sha256, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.statement import PreviousRelease, Statement
from relsign.verify.demands import Demands
from relsign.verify.verdict import Outcome, Row
from tests.verify.releases import (
    ARTIFACT,
    LATER,
    NAME,
    NOW,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    parties,
    sealed,
    secret,
    sign_by,
    signature_by,
)

Files = dict[str, bytes]
OTHER = make_fingerprint(b"other bytes")


def step(release: Release, name: str) -> Row:
    return next(row for row in release.decide().verdict.rows if row.name == name)


def without(*names: str) -> Callable[[Files], Files]:
    return lambda files: {k: v for k, v in files.items() if k not in names}


def replaced(name: str, data: bytes) -> Callable[[Files], Files]:
    return lambda files: {**files, name: data}


def added(files: Files) -> Callable[[Files], Files]:
    return lambda present: {**present, **files}


def layout_step(name: str, **changes: object) -> Callable[[Layout], Layout]:
    def change(layout: Layout) -> Layout:
        steps: list[Step] = [
            msgspec.structs.replace(s, **changes) if s.name == name else s for s in layout.steps
        ]
        return msgspec.structs.replace(layout, steps=tuple(steps))

    return change


def statement_with(**changes: object) -> Callable[[Statement], Statement]:
    def change(statement: Statement) -> Statement:
        predicate = msgspec.structs.replace(statement.predicate, **changes)
        return msgspec.structs.replace(statement, predicate=predicate)

    return change


def envelope_of(name: str, signatures: tuple[Signature, ...]) -> bytes:
    """Return one of the release's envelopes with other signatures."""
    present = parse_envelope(Release().files()[name], name)
    return Envelope(
        payload=present.payload, payload_type=INTOTO_PAYLOAD, signatures=signatures
    ).to_bytes()


def statement_payload() -> bytes:
    return Release().statement().to_bytes()


def with_stranger(layout: Layout) -> Layout:
    """Let a key build that is no builder of the root."""
    raw = secret("stranger").verify_key.encode()
    stranger = Ed25519Public(raw).keyid
    key = LayoutKey(keyid=stranger, keyval=LayoutPublic(public=raw.hex()))
    steps = tuple(msgspec.structs.replace(s, pubkeys=(*s.pubkeys, stranger)) for s in layout.steps)
    return msgspec.structs.replace(layout, keys={**layout.keys, stranger: key}, steps=steps)


def keyid(name: str) -> str:
    return parties(make_root())[name].keyid


BROKEN: dict[str, tuple[Release, str, Outcome, str]] = {
    # 1 root
    "expired root": (Release(now=LATER), "root", Outcome.REFUSED, "expired"),
    "root: more signers than people": (
        Release(
            root=make_root(thresholds=Thresholds(owners=2, signers=4, builders=2, organisations=2))
        ),
        "root",
        Outcome.REFUSED,
        "larger than the role",
    ),
    "root: more organisations than the builders have": (
        Release(
            root=make_root(thresholds=Thresholds(owners=2, signers=2, builders=3, organisations=3))
        ),
        "root",
        Outcome.REFUSED,
        "organisations is larger",
    ),
    "root: nobody signed it": (
        Release(root_signers=()),
        "root",
        Outcome.MISSING,
        "signed by 0 of its own owners (need 2)",
    ),
    "root: one owner of two signed it": (
        Release(root_signers=("olga",)),
        "root",
        Outcome.MISSING,
        "signed by 1 of its own owners (need 2)",
    ),
    "root: signers and builders signed it": (
        Release(root_signers=("olga", "sam", "sara", "builder-a")),
        "root",
        Outcome.MISSING,
        "signed by 1 of its own owners (need 2)",
    ),
    # 2 bytes
    "a flipped byte": (
        Release(artifacts={NAME: sha256_hex(b"flipped")}),
        "bytes",
        Outcome.REFUSED,
        "not the file that was released",
    ),
    "a file under another name": (
        Release(artifacts={"other.tar.gz": sha256_hex(ARTIFACT)}),
        "bytes",
        Outcome.REFUSED,
        "no artifact of this release",
    ),
    "no file at all": (Release(artifacts={}), "bytes", Outcome.MISSING, "no file"),
    "another project's release": (
        Release(root=make_root(project="other")),
        "bytes",
        Outcome.REFUSED,
        "another project",
    ),
    "bundle and statement name different versions": (
        Release(change_statement=statement_with(version="2.0")),
        "bytes",
        Outcome.REFUSED,
        "different releases",
    ),
    "no statement": (
        Release(change_files=without(STATEMENT_FILE)),
        "bytes",
        Outcome.MISSING,
        "no release statement",
    ),
    # 3 signers
    "one signer of two": (
        Release(signers=("sam",)),
        "signers",
        Outcome.MISSING,
        "1 of the 2 signers",
    ),
    "owners sign instead of signers": (
        Release(signers=("olga", "oona")),
        "signers",
        Outcome.MISSING,
        "by keys not in the root",
    ),
    "a signature over other bytes": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    (
                        signature_by("sam", statement_payload()),
                        signature_by("sara", b"other bytes"),
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "sara",
    ),
    "one signature under two keyids": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    (
                        signature_by("sam", statement_payload()),
                        Signature(
                            keyid="ab" * 32,
                            sig=sign_by("sam", pae(INTOTO_PAYLOAD, statement_payload())),
                        ),
                    ),
                ),
            )
        ),
        "signers",
        Outcome.MISSING,
        "1 of the 2 signers",
    ),
    "a signature without PAE": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    tuple(
                        Signature(keyid=keyid(n), sig=sign_by(n, statement_payload()))
                        for n in ("sam", "sara")
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "does not verify",
    ),
    "a signature over another payload type": (
        Release(
            change_files=replaced(
                STATEMENT_FILE,
                envelope_of(
                    STATEMENT_FILE,
                    tuple(
                        signature_by(n, statement_payload(), "text/plain") for n in ("sam", "sara")
                    ),
                ),
            )
        ),
        "signers",
        Outcome.REFUSED,
        "does not verify",
    ),
    # 4 layout
    "no layout": (
        Release(change_files=without(LAYOUT_FILE)),
        "layout",
        Outcome.MISSING,
        "no layout",
    ),
    "one owner of two": (Release(owners=("olga",)), "layout", Outcome.MISSING, "1 of the 2 owners"),
    "signers sign the layout": (
        Release(owners=("sam", "sara")),
        "layout",
        Outcome.MISSING,
        "0 of the 2 owners",
    ),
    "another layout than the signers named": (
        Release(change_statement=statement_with(layout_sha256=Digest("5" * 64))),
        "layout",
        Outcome.REFUSED,
        "not the layout the signers named",
    ),
    "expired layout": (
        Release(change_layout=lambda layout: msgspec.structs.replace(layout, expires=NOW)),
        "layout",
        Outcome.REFUSED,
        "layout has expired",
    ),
    "a layout that asks for one builder": (
        Release(change_layout=layout_step("build", threshold=1)),
        "layout",
        Outcome.REFUSED,
        "fewer builders",
    ),
    "a layout that does not require the artifact": (
        Release(
            change_layout=layout_step(
                "build",
                expected_products=(
                    ("REQUIRE", "linux.fingerprint.json"),
                    ("REQUIRE", "other"),
                    ("CREATE", "*"),
                    ("DISALLOW", "*"),
                ),
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require",
    ),
    "a layout that requires no fingerprint": (
        Release(
            change_layout=layout_step(
                "build",
                expected_products=(("REQUIRE", NAME), ("CREATE", "*"), ("DISALLOW", "*")),
            )
        ),
        "layout",
        Outcome.REFUSED,
        "does not require",
    ),
    "a step that leaves a builder out": (
        Release(
            change_layout=layout_step("source", pubkeys=(keyid("builder-a"), keyid("builder-b")))
        ),
        "layout",
        Outcome.REFUSED,
        "does not name exactly",
    ),
    # 5 builders
    "one builder of two": (
        Release(builders=("builder-a",)),
        "builders",
        Outcome.MISSING,
        "1 builders reported",
    ),
    "two builders of one organisation": (
        Release(builders=("builder-b", "builder-c")),
        "builders",
        Outcome.MISSING,
        "2 organisations",
    ),
    "two builders contradict each other": (
        Release(builders=("builder-a",), change_files=added(link_files(OTHER, "builder-b"))),
        "builders",
        Outcome.REFUSED,
        "disagree",
    ),
    "dissent where it refuses": (
        Release(
            change_files=added(link_files(OTHER, "builder-c")), demands=Demands(refuse_dissent=True)
        ),
        "builders",
        Outcome.REFUSED,
        "dissent: builder-c",
    ),
    "a link replayed from another version": (
        Release(
            change_files=added(
                changed_link(
                    "builder-b", "build", environment=ReleaseBinding(project="demo", version="0.9")
                )
            )
        ),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "a link replayed from another project": (
        Release(
            change_files=added(
                changed_link(
                    "builder-b", "build", environment=ReleaseBinding(project="d", version="1.0")
                )
            )
        ),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "a link filed under another step": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")),
                next(iter(link_files(make_fingerprint(), "builder-b").values())),
            )
        ),
        "builders",
        Outcome.MISSING,
        "filed under another step",
    ),
    "a link signed by nobody known": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")), sealed(b"{}", ["sam"])
            )
        ),
        "builders",
        Outcome.MISSING,
        "not signed by the builder",
    ),
    "a sublayout in the place of a link": (
        Release(
            change_files=replaced(
                link_file_name("build", keyid("builder-b")),
                sealed(Release().compiled_layout().to_bytes(), ["builder-b"]),
            )
        ),
        "builders",
        Outcome.MISSING,
        "build.",
    ),
    "another command": (
        Release(
            change_files=added(
                changed_link("builder-a", "build", command=("make",))
                | changed_link("builder-b", "build", command=("make",))
            )
        ),
        "builders",
        Outcome.REFUSED,
        "another command",
    ),
    "materials that were never sources": (
        Release(
            change_files=added(
                changed_link(
                    "builder-a", "build", materials={"evil": Sha256(sha256=Digest("6" * 64))}
                )
                | changed_link(
                    "builder-b", "build", materials={"evil": Sha256(sha256=Digest("6" * 64))}
                )
            )
        ),
        "builders",
        Outcome.REFUSED,
        "no rule allows",
    ),
    "a product is missing": (
        Release(
            change_files=added(
                changed_link("builder-a", "build", products={})
                | changed_link("builder-b", "build", products={})
            )
        ),
        "builders",
        Outcome.REFUSED,
        "required file is missing",
    ),
    # 6 fingerprint
    "no fingerprint": (
        Release(change_files=without("linux.fingerprint.json")),
        "fingerprint",
        Outcome.MISSING,
        "lacks a fingerprint",
    ),
    "another fingerprint than the signers named": (
        Release(change_files=replaced("linux.fingerprint.json", OTHER.to_bytes())),
        "fingerprint",
        Outcome.REFUSED,
        "not the fingerprint",
    ),
    "a fingerprint of another version": (
        Release(fingerprint=make_fingerprint(version="0.9")),
        "builders",
        Outcome.MISSING,
        "another release",
    ),
    "artifacts of two builds mixed": (
        Release(
            change_files=lambda files: (
                {k: v for k, v in files.items() if not k.endswith(".link")}
                | link_files(OTHER, "builder-a")
                | link_files(OTHER, "builder-b")
            )
        ),
        "fingerprint",
        Outcome.REFUSED,
        "different files",
    ),
    # 7 revocation
    "a release from the future": (
        Release(released_at=NOW + timedelta(days=2)),
        "revocation",
        Outcome.REFUSED,
        "future",
    ),
    "a release that follows itself": (
        Release(previous=PreviousRelease(version="1.0", statement_sha256=Digest("7" * 64))),
        "revocation",
        Outcome.REFUSED,
        "follows itself",
    ),
}
