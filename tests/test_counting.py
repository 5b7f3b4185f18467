"""Who counts, and how often: one table, gone through at every place where people are counted.

The places are the statement's signers, the layout's and the root's owners, the builders'
links, the status of a release in the making, the stock signature files, and the third
parties' manifests that gpg judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.crypto.openpgp import split_signatures, verify_detached
from relsign.errors import NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae
from relsign.formats.sums_policy import parse_sums_policy
from relsign.publish.signatures import stock_signatures
from relsign.sign.status import release_status
from relsign.system.files import make_folder
from relsign.system.workspace import ReleaseFolder
from relsign.trust.sums.look import check_sums
from relsign.verify.release import open_evidence, verify_signers
from relsign.verify.root import TrustedRoot
from relsign.verify.verdict import Word
from tests.counting import (
    MANIFEST,
    PRIMARY,
    REVOKED,
    SHORT,
    STRANGER,
    SUB_ONE,
    SUB_TWO,
    ZOE,
    certificate,
    envelope,
    label,
    ours,
    trusted,
    zoe,
)
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    Key,
    detached,
    revocation,
)
from tests.verify.releases import (
    NOW,
    Release,
)

Make = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Case:
    """What stands in zoe's signature file, or beside her label, and what must be said of it."""

    made: Make
    reason: str = ""
    """Why it counts for nobody; empty where it counts for her, once."""
    certificate: bytes = ZOE


def by(
    key: Key, *, kind: int = 0x00, hash_number: int = 10, created: int = CREATED + 10 * DAY
) -> Make:
    return lambda message: detached(
        key, message, kind=kind, hash_number=hash_number, created=created
    )


def all_of(*made: Make) -> Make:
    return lambda message: b"".join(one(message) for one in made)


def other_bytes(message: bytes) -> bytes:
    return detached(SUB_ONE, message + b"!")


GOOD = by(SUB_ONE)
CASES = {
    "subkey": Case(GOOD),
    "the other subkey": Case(by(SUB_TWO)),
    "a subkey beside an expired one": Case(by(SUB_TWO), certificate=certificate(one=SHORT)),
    "two subkeys of one primary": Case(all_of(GOOD, by(SUB_TWO)), "more than one signature"),
    "the same signature three times": Case(all_of(GOOD, GOOD, GOOD), "more than one signature"),
    "one good and one bad": Case(all_of(GOOD, other_bytes), "more than one signature"),
    "one bad and one good": Case(all_of(other_bytes, GOOD), "more than one signature"),
    "one good and a stranger's": Case(all_of(GOOD, by(STRANGER)), "more than one signature"),
    "other bytes": Case(other_bytes, "made over other bytes|not over these bytes"),
    "a stranger": Case(by(STRANGER), "not by a signing key|not among the given"),
    "SHA-1": Case(by(SUB_ONE, hash_number=2), "hash"),
    "text mode": Case(by(SUB_ONE, kind=0x01), "not over binary data"),
    "expired subkey": Case(GOOD, "key has expired", certificate(one=SHORT)),
    "expired primary": Case(GOOD, "key has expired", certificate(primary=SHORT)),
    "revoked primary": Case(GOOD, "key is revoked", REVOKED),
    "revoked subkey": Case(
        by(SUB_TWO),
        "key is revoked",
        ZOE + revocation(0x28, PRIMARY, PRIMARY.hashed + SUB_TWO.hashed),
    ),
    "a primary key that may not sign": Case(
        by(PRIMARY), "not by a signing key|signature cannot be checked"
    ),
}


# --- OpenPGP, at every place -------------------------------------------------------------------


def statement_of(root: TrustedRoot, made: Make) -> bytes:
    payload = Release().statement().to_bytes()
    hers = Signature(keyid=label(root, "zoe"), sig=made(pae(INTOTO_PAYLOAD, payload)))
    return envelope(payload, [*ours(root, payload, "sam"), hers])


def at_the_verifier(case: Case, _folder: Path) -> None:
    root = trusted(zoe(case.certificate))
    files = {**Release().files(), STATEMENT_FILE: statement_of(root, case.made)}
    evidence = open_evidence(make_bundle("demo", "1.0", files).to_bytes())
    signed = verify_signers(root, evidence, NOW, 2)
    assert [party.name for party in signed.signers] == ["sam", "zoe"]
    with pytest.raises(NotEnoughError):
        verify_signers(root, evidence, NOW, 3)


def at_the_status(case: Case, folder: Path) -> None:
    root = trusted(zoe(case.certificate))
    release = ReleaseFolder(folder / "release" / "demo-1.0", "demo", "1.0")
    make_folder(release.folder)
    release.layout_file.write_bytes(Release().files()[LAYOUT_FILE])
    release.statement_file.write_bytes(statement_of(root, case.made))
    (stage,) = [s for s in release_status(release, root, NOW).stages if s.name == "signers"]
    if stage.have != ("sam", "zoe"):
        assert stage.have == ("sam",)
        raise VerificationError(stage.problem)


def at_the_library(case: Case, _folder: Path) -> None:
    key = next(p for p in trusted(zoe(case.certificate)).parties if p.name == "zoe").key
    assert hasattr(key, "certificate")
    verify_detached(key.certificate, case.made(MANIFEST), MANIFEST, NOW)


def at_gpg(case: Case, folder: Path) -> None:
    """As a third party's manifest: judged by gpg's status lines and by nothing else."""
    place = folder / "sums" / "1.0" / "zoe"
    make_folder(place)
    (place / "all.SHA256SUMS").write_bytes(MANIFEST)
    (place / "all.SHA256SUMS.asc").write_bytes(case.made(MANIFEST))
    make_folder(folder / "keys")
    (folder / "keys" / "zoe.gpg").write_bytes(case.certificate)
    policy = parse_sums_policy(b"threshold = 1\n")
    report = check_sums(folder / "sums", folder / "keys", policy, (), NOW)
    if report.counted != 1:
        (finding,) = [one for one in report.findings if one.where.startswith("1.0/zoe")]
        raise VerificationError(finding.reason)
    assert report.word is Word.VERIFIED


PLACES = {
    "verifier": at_the_verifier,
    "status": at_the_status,
    "library": at_the_library,
    "gpg": at_gpg,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("place", PLACES)
def test_an_openpgp_signature_counts_once_or_says_why_not(
    place: str, name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    if not case.reason:
        PLACES[place](case, tmp_path)
        return
    with pytest.raises(RelsignError) as raised:
        PLACES[place](case, tmp_path)
    assert any(words in raised.value.what for words in case.reason.split("|")), raised.value


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.reason])
def test_a_stock_signature_that_counts_is_published(name: str, tmp_path: Path) -> None:
    assert _stock(CASES[name], tmp_path) == ((1, ""))


@pytest.mark.parametrize(
    "name",
    [n for n, c in CASES.items() if c.reason],
)
def test_a_stock_signature_that_does_not_is_left_out_with_the_reason(
    name: str, tmp_path: Path
) -> None:
    count, note = _stock(CASES[name], tmp_path)
    assert count == 0
    assert note.startswith("signatures/zoe.asc: left out: ")


def _stock(case: Case, folder: Path) -> tuple[int, str]:
    """Return how many signatures of zoe's file are published, and the note on it."""
    root = trusted(zoe(case.certificate))
    release = ReleaseFolder(folder, "demo", "1.0")
    make_folder(release.signatures)
    (release.signatures / "zoe.asc").write_bytes(case.made(MANIFEST))
    found = stock_signatures(release, root.having("signer"), {"zoe"}, MANIFEST, NOW)
    data = found.files.get("SHA256SUMS.asc", b"")
    return len(split_signatures(data, "")) if data else 0, "; ".join(found.notes)


def test_two_subkeys_in_two_signatures_of_a_statement_are_one_person() -> None:
    root = trusted(zoe(ZOE))
    payload = Release().statement().to_bytes()
    message = pae(INTOTO_PAYLOAD, payload)
    labels = [label(root, "zoe"), SUB_TWO.fingerprint.lower(), "f" * 64]
    made = [by(SUB_ONE), by(SUB_TWO), by(SUB_ONE, created=CREATED + 11 * DAY)]
    hers = [Signature(keyid=k, sig=m(message)) for k, m in zip(labels, made, strict=True)]
    files = {**Release().files(), STATEMENT_FILE: envelope(payload, hers)}
    evidence = open_evidence(make_bundle("demo", "1.0", files).to_bytes())
    assert [p.name for p in verify_signers(root, evidence, NOW, 1).signers] == ["zoe"]
    with pytest.raises(NotEnoughError, match="1 of the 2 signers needed"):
        verify_signers(root, evidence, NOW, 2)
