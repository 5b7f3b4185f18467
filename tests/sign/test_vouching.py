"""Which releases owners may vouch for: those that hold today, as of their own day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import make_bundle, parse_bundle
from relsign.formats.names import Digest
from relsign.formats.policy import Revocation, Vouched
from relsign.sign.review.vouching import complete_roots, verify_for_vouching
from relsign.verify.inclusion import PROOF_FILE, log_entry
from relsign.verify.root import TrustedRoot, open_root
from tests.projects import Project
from tests.verify.logs import MemoryLog, log_members, make_policy
from tests.verify.releases import LATER, NOW, Release, make_root, signed_root

FIRST = open_root(signed_root(make_root()))
MUCH_LATER = LATER + timedelta(days=100)


def second(**changes: object) -> TrustedRoot:
    """Return a second version that differs in some of its policy."""
    root = make_root(version=2, expires=MUCH_LATER + timedelta(days=1))
    policy = msgspec.structs.replace(root.policy, **changes)
    return open_root(signed_root(msgspec.structs.replace(root, policy=policy)))


def release(*roots: bytes, **changes: object) -> Release:
    chain = {f"{number}.root.json": data for number, data in enumerate(roots, 1)}
    made = Release(change_files=lambda files: files | chain)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_release_is_vouched_for_by_the_root_it_was_made_under() -> None:
    made = release(FIRST.data)
    for roots in ((FIRST,), (FIRST, second())):
        vouching = verify_for_vouching(roots, made.bundle(), NOW)
        assert vouching.version == "1.0"
        assert vouching.released_at == NOW
        assert vouching.root == FIRST


def test_it_is_judged_as_of_its_day_when_the_layout_has_run_out_since() -> None:
    made = release(FIRST.data)
    assert verify_for_vouching((FIRST, second()), made.bundle(), MUCH_LATER).root == FIRST


def test_what_the_owners_vouch_for_already_may_be_vouched_for_again() -> None:
    made = release(FIRST.data)
    digest = verify_for_vouching((FIRST,), made.bundle(), NOW).statement_sha256
    vouched = Vouched(version="1.0", statement_sha256=Digest(digest), root_sha256=FIRST.digest)
    members = tuple(m for m in make_root().members if m.name != "sara")
    later = second(vouched=(vouched,), members=members)
    assert verify_for_vouching((FIRST, later), made.bundle(), NOW).root == FIRST


def test_the_log_is_asked_for_todays_proof() -> None:
    people = {m.name: m for m in (*make_root().members, *log_members())}
    members = tuple(people[name] for name in sorted(people))
    logged = open_root(signed_root(make_root(members=members, log=make_policy())))
    made = release(logged.data, root=logged.root)
    with pytest.raises(NotEnoughError, match="no proof that the log has"):
        verify_for_vouching((logged,), made.bundle(), NOW)
    digest = sha256_hex(made.statement().to_bytes())
    log = MemoryLog(entries=[log_entry("demo", "1.0", digest)])
    for seen, today, holds in (
        (NOW, NOW, True),
        (NOW + timedelta(days=60), NOW + timedelta(days=60), True),
        (NOW, NOW + timedelta(days=60), False),
    ):
        proof = log.proof(0, cosigned=dict.fromkeys(("wanda", "wilma"), seen)).to_bytes()
        bundle = parse_bundle(made.bundle()).files | {PROOF_FILE: proof}
        proven = make_bundle("demo", "1.0", bundle).to_bytes()
        if holds:
            assert verify_for_vouching((logged,), proven, today).root == logged
        else:
            with pytest.raises(NotEnoughError, match="saw this log too long ago"):
                verify_for_vouching((logged,), proven, today)


WITHOUT_SAM = tuple(m for m in make_root().members if m.name != "sam")


@pytest.mark.parametrize(
    ("made", "roots", "error", "message"),
    [
        (release(), lambda: (FIRST,), VerificationError, "no version of this project's root"),
        (
            release(signed_root(make_root(), ("olga", "otto"))),
            lambda: (second(),),
            VerificationError,
            "no version of this project's root",
        ),
        (
            release(FIRST.data, signers=("sam",)),
            lambda: (FIRST,),
            NotEnoughError,
            "at step 3, signers: 1 of the 2",
        ),
        (
            release(FIRST.data, builders=("builder-a",)),
            lambda: (FIRST,),
            NotEnoughError,
            "at step 5, builders",
        ),
        (
            release(FIRST.data, owners=("olga",)),
            lambda: (FIRST,),
            NotEnoughError,
            "at step 4, layout",
        ),
        (
            release(FIRST.data),
            lambda: (FIRST, second(members=WITHOUT_SAM)),
            NotEnoughError,
            "at step 3, signers: 1 of the 2",
        ),
        (
            release(FIRST.data),
            lambda: (FIRST, second(revoked=(Revocation(version="1.0", reason="bad"),))),
            VerificationError,
            "revoked by the owners: bad",
        ),
        (
            release(FIRST.data, released_at=NOW + timedelta(days=3)),
            lambda: (FIRST,),
            VerificationError,
            "released in the future",
        ),
        (
            release(FIRST.data, released_at=LATER + timedelta(days=1), now=MUCH_LATER),
            lambda: (FIRST, second()),
            VerificationError,
            "at step 4, layout",
        ),
        (
            release(FIRST.data, now=MUCH_LATER),
            lambda: (FIRST,),
            VerificationError,
            "the trust root has expired",
        ),
    ],
)
def test_what_does_not_hold_is_not_vouched_for(
    made: Release,
    roots: Callable[[], tuple[TrustedRoot, ...]],
    error: type[RelsignError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        verify_for_vouching(roots(), made.bundle(), made.now)


# --- which versions of the root count --------------------------------------------------------


def test_only_complete_versions_count(project: Project) -> None:
    assert [root.root.version for root in complete_roots(project.workspace)] == [1]
    assert project.run("root", "remove", "sara") == 0
    assert [root.root.version for root in complete_roots(project.workspace)] == [1]
    project.sign_root("olga")
    assert [root.root.version for root in complete_roots(project.workspace)] == [1]
    project.sign_root("oona")
    assert [root.root.version for root in complete_roots(project.workspace)] == [1, 2]
    assert project.run("root", "remove", "otto") == 0
    assert [root.root.version for root in complete_roots(project.workspace)] == [1, 2]


def test_a_first_root_that_nobody_signed_does_not_count(project: Project) -> None:
    project.workspace.root_file.unlink()
    with pytest.raises(InputError, match="no version of the root is signed"):
        complete_roots(project.workspace)
    assert project.run("root", "new") == 0
    with pytest.raises(InputError, match="no version of the root is signed"):
        complete_roots(project.workspace)
