"""The report: short for people, whole for programs, safe in a terminal and a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest

from relsign.formats.names import Digest
from relsign.formats.sums_policy import parse_sums_policy
from relsign.trust.sums.look import SumsReport
from relsign.trust.sums.report import SCHEMA, sums_csv, sums_json, sums_table
from relsign.trust.sums.tree import Finding
from relsign.verify.sums import ArtifactVerdict, Vote, judge_files
from relsign.verify.sums_people import People
from relsign.verify.verdict import Word

POLICY = parse_sums_policy(b'threshold = 2\ndissent = "record"\n')
PEOPLE = People({}, {"a": 0, "b": 1, "c": 2}, {"a": 0, "b": 1, "c": 2})
X, Y = Digest("a" * 64), Digest("b" * 64)


def _report(*votes: Vote, findings: int = 0, asked: tuple[ArtifactVerdict, ...] = ()) -> SumsReport:
    return SumsReport(
        policy=POLICY,
        files=judge_files(votes, {}, PEOPLE, POLICY),
        artifacts=asked,
        findings=tuple(Finding(f"1/x/{n}", "key is revoked", "A") for n in range(findings)),
        manifests=len(votes),
        counted=len(votes),
        ignored=1,
    )


AGREE = [Vote("1", one, {"f": (X,)}) for one in "ab"]
DISSENT = [*AGREE, Vote("1", "c", {"f": (Y,), "g": (Y,)})]


def test_the_table_says_verdict_releases_open_files_and_evidence() -> None:
    assert sums_table(_report(*DISSENT, findings=1), "sums") == [
        "NOT ENOUGH  sums",
        "  … 1                    1 of 2 files verified, each by 2 people or more",
        "  … 1/g: not enough: 1 people (need 2)",
        "  3 of 3 signed manifests count; 1 left out by the policy",
        "  - 1/x/0: key is revoked (A)",
        "Next: wait for more builders, or fetch their keys and manifests anew.",
    ]
    assert sums_table(_report(*AGREE), "sums")[0] == "VERIFIED  sums"
    assert not sums_table(_report(*AGREE), "sums")[-1].startswith("Next")


def test_an_empty_report_is_not_enough() -> None:
    assert _report().word is Word.NOT_ENOUGH
    assert sums_table(_report(), "sums")[0] == "NOT ENOUGH  sums"


def test_files_in_hand_are_what_the_table_is_about() -> None:
    asked = (
        ArtifactVerdict("f", X, Word.VERIFIED, "1", "good"),
        ArtifactVerdict("n\new", X, Word.NOT_ENOUGH, "", "no manifest names a file like this"),
    )
    lines = sums_table(_report(*DISSENT, asked=asked), "sums")
    assert lines[1:3] == [
        "  ✓ VERIFIED  f (release 1): good",
        "  … NOT ENOUGH  n\\new: no manifest names a file like this",
    ]
    assert len(lines) == 5


@pytest.mark.parametrize("count", [1, 30, 31, 5000])
def test_the_table_never_has_more_than_a_hundred_lines(count: int) -> None:
    votes = [Vote(str(n), "a", {f"f{n}": (X,)}) for n in range(count)]
    report = _report(*votes, findings=count)
    lines = sums_table(report, "sums")
    assert len(lines) <= 100
    more = [line for line in lines if line.startswith("  ... and")]
    rest = f"  ... and {count - 30} more (in full: --csv or --json)"
    assert more == [rest] * (3 if count > 30 else 0)
    assert len(json.loads(sums_json(report))["findings"]) == count
    assert len(list(csv.reader(io.StringIO(sums_csv(report))))) == 2 * count + 1


def test_csv_has_a_row_for_each_verdict_and_finding() -> None:
    asked = (ArtifactVerdict("=1+1", X, Word.REFUSED, "1", "other"),)
    text = sums_csv(_report(*DISSENT, findings=1, asked=asked))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["row"], row["verdict"]) for row in rows] == [
        ("artifact", "REFUSED"),
        ("file", "VERIFIED"),
        ("file", "NOT ENOUGH"),
        ("evidence", "NOT COUNTED"),
    ]
    assert rows[0]["file"] == "'=1+1"
    assert (rows[1]["sha256"], rows[1]["builders"], rows[1]["dissent"]) == (X, "a b", "c")
    assert rows[2]["sha256"] == ""


def test_json_has_everything_and_names_its_form() -> None:
    whole = json.loads(sums_json(_report(*DISSENT, findings=1)))
    assert (whole["schema"], whole["verdict"], whole["exit_code"]) == (SCHEMA, "NOT ENOUGH", 3)
    assert whole["files"][0]["claims"] == [
        {"sha256": X, "builders": ["a", "b"], "people": 2, "organisations": 2},
        {"sha256": Y, "builders": ["c"], "people": 1, "organisations": 1},
    ]
    assert whole["findings"] == [{"where": "1/x/0", "reason": "key is revoked", "detail": "A"}]
    assert whole["manifests"] == {"signed": 3, "counted": 3, "ignored": 1}
