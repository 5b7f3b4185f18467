"""A witness cosigns what grew out of what it saw, and nothing else."""

from __future__ import annotations

import pytest

from relsign.formats.checkpoint import Checkpoint
from relsign.formats.witnessing import AddCheckpoint
from relsign.verify.witnessing import Judged, judge_checkpoint
from tests.verify.logs import (
    NOW,
    ORIGIN,
    MemoryLog,
    consistency_path,
    cosigned_by,
    log_key,
    signed_by,
)

LOGS = {ORIGIN: (log_key("log-a"), log_key("log-b"))}


def grown(size: int) -> MemoryLog:
    return MemoryLog([b"entry %d" % number for number in range(size)])


def at(size: int, log: MemoryLog | None = None) -> Checkpoint:
    return (log or grown(size)).checkpoint(cosigned={})


def judge(old: int, new: Checkpoint, kept: Checkpoint | None, *hashes: bytes) -> Judged:
    return judge_checkpoint(AddCheckpoint(old, hashes, new), LOGS, kept)


def proof(old: int, new: int) -> list[bytes]:
    return consistency_path(old, grown(new).entries)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 1), (0, 7), (1, 2), (3, 7), (4, 8), (8, 8)])
def test_a_log_that_grew_is_cosigned(old: int, new: int) -> None:
    kept = at(old) if old else None
    judged = judge(old, at(new), kept, *proof(old, new))
    assert (judged.status, judged.checkpoint) == (200, at(new))


def test_only_the_logs_own_lines_are_kept() -> None:
    new = grown(3).checkpoint(by=("log-a", "log-b"), cosigned={"wanda": NOW})
    judged = judge(0, new, None)
    assert judged.checkpoint is not None
    body = new.body()
    assert judged.checkpoint.signatures == (signed_by("log-a", body), signed_by("log-b", body))


def test_an_unknown_log() -> None:
    assert judge(0, at(3, MemoryLog(origin="elsewhere.example")), None).status == 404


def test_signed_by_nobody_who_may() -> None:
    good = at(3)
    strange = signed_by("log-a", b"something else")
    for lines in (
        (cosigned_by("wanda", good.body(), NOW),),
        (strange,),
        (*good.signatures, strange),
        (signed_by("mallory", good.body()),),
    ):
        changed = Checkpoint(good.origin, good.size, good.root, lines)
        assert judge(0, changed, None).status == 403


def test_an_old_size_beyond_the_new() -> None:
    assert judge(4, at(3), at(4)).status == 400


@pytest.mark.parametrize(("old", "kept"), [(0, 3), (2, 3), (4, 3), (1, 0)])
def test_another_size_than_seen_last(old: int, kept: int) -> None:
    judged = judge(old, at(5), at(kept) if kept else None, *proof(old, 5))
    assert (judged.status, judged.known_size, judged.is_split) == (409, kept, False)


def test_a_split_view_is_evidence() -> None:
    log = grown(5)
    other = at(5, log.split_view(2, b"false"))
    judged = judge(5, other, at(5))
    assert (judged.status, judged.known_size, judged.is_split) == (409, 5, True)
    # Hidden behind an honest-looking old size, it is one all the same.
    assert judge(3, other, at(5), *proof(3, 5)).is_split


def test_an_empty_log_has_one_root() -> None:
    empty = at(0)
    false = Checkpoint(ORIGIN, 0, b"\1" * 32, ())
    false = Checkpoint(ORIGIN, 0, false.root, (signed_by("log-a", false.body()),))
    assert judge(0, empty, None).status == 200
    judged = judge(0, false, None)
    assert (judged.status, judged.is_split) == (409, False)
    assert judge(0, false, empty).is_split


def test_a_rewritten_log() -> None:
    log = grown(7).split_view(1, b"false")
    hashes = consistency_path(3, log.entries)
    assert judge(3, at(7, log), at(3), *hashes).status == 422
    assert judge(3, at(7), at(3)).status == 422
    assert judge(3, at(7), at(3), *proof(3, 7), b"\0" * 32).status == 422
    assert judge(0, at(7), None, b"\0" * 32).status == 422
    assert judge(7, at(7), at(7), b"\0" * 32).status == 422


def test_a_log_that_went_back() -> None:
    # It cannot name the size seen last, for that is beyond its own.
    assert judge(3, at(3), at(7)).status == 409
    assert judge(7, at(3), at(7)).status == 400
