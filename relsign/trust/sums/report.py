"""The report on other people's manifests: a short table, CSV and JSON.

The table has at most a hundred lines; CSV and JSON hold everything.  Names are plain
ASCII by the time they come here, and none begins as a spreadsheet's formula does.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from relsign.trust.sums.look import SumsReport
from relsign.trust.sums.tree import Finding
from relsign.verify.sums import ArtifactVerdict, FileVerdict, overall
from relsign.verify.verdict import Word

SCHEMA = "relsign/sums-report/1"
MAX_ROWS = 30
"""Rows of each of the table's three parts."""

_GLYPHS = {Word.VERIFIED: "✓", Word.REFUSED: "✗", Word.NOT_ENOUGH: "…"}
_NEXT = {
    Word.VERIFIED: "",
    Word.REFUSED: "Next: do not use what is refused; ask the builders named why they differ.",
    Word.NOT_ENOUGH: "Next: wait for more builders, or fetch their keys and manifests anew.",
}
_COLUMNS = (
    "row", "release", "file", "verdict", "sha256", "people", "builders", "dissent", "why",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def sums_table(report: SumsReport, title: str) -> list[str]:
    """Return the lines people read, at most a hundred."""
    lines = [f"{report.word.value}  {title}"]
    if report.artifacts:
        lines += _bounded([_artifact_line(one) for one in report.artifacts])
    else:
        lines += _bounded(_release_lines(report.files))
        open_files = [one for one in report.files if one.word is not Word.VERIFIED]
        lines += _bounded([_file_line(one) for one in open_files])
    lines.append(
        f"  {report.counted} of {report.manifests} signed manifests count"
        + (f"; {report.ignored} left out by the policy" if report.ignored else "")
    )
    lines += _bounded([_finding_line(one) for one in report.findings])
    return [*lines, *([_NEXT[report.word]] if _NEXT[report.word] else [])]


def _bounded(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MAX_ROWS
    rest = [f"  ... and {more} more (in full: --csv or --json)"] if more > 0 else []
    return [*lines[:MAX_ROWS], *rest]


def _release_lines(files: Iterable[FileVerdict]) -> list[str]:
    releases: dict[str, list[FileVerdict]] = {}
    for file in files:
        releases.setdefault(file.release, []).append(file)
    lines = []
    for release, found in releases.items():
        good = [one for one in found if one.word is Word.VERIFIED]
        glyph = _GLYPHS[overall(one.word for one in found)]
        least = f", each by {min(_people(one) for one in good)} people or more" if good else ""
        lines.append(f"  {glyph} {release:<20} {len(good)} of {len(found)} files verified{least}")
    return lines


def _people(file: FileVerdict) -> int:
    return file.claims[0].people if file.claims else 0


def _file_line(file: FileVerdict) -> str:
    return f"  {_GLYPHS[file.word]} {_path(file)}: {file.word.value.lower()}: {file.why}"


def _path(file: FileVerdict) -> str:
    return f"{file.release}/{file.name or '*'}"


def _artifact_line(one: ArtifactVerdict) -> str:
    where = f" (release {one.release})" if one.release else ""
    return f"  {_GLYPHS[one.word]} {one.word.value}  {ascii(one.name)[1:-1]}{where}: {one.why}"


def _finding_line(one: Finding) -> str:
    return f"  - {one.where}: {one.reason}" + (f" ({one.detail})" if one.detail else "")


def sums_csv(report: SumsReport) -> str:
    """Return every verdict and finding as CSV (RFC 4180), one header row."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for artifact in report.artifacts:
        row = ["artifact", artifact.release, ascii(artifact.name)[1:-1], artifact.word.value]
        writer.writerow(_cells([*row, artifact.sha256, "", "", "", artifact.why]))
    for file in report.files:
        row = ["file", file.release, file.name, file.word.value, file.sha256, str(_people(file))]
        builders = file.claims[0].builders if file.claims else ()
        dissent = sorted({*file.dissenting, *file.contradicting})
        writer.writerow(_cells([*row, " ".join(builders), " ".join(dissent), file.why]))
    for one in report.findings:
        why = f"{one.reason} ({one.detail})" if one.detail else one.reason
        writer.writerow(_cells(["evidence", "", one.where, "NOT COUNTED", "", "", "", "", why]))
    return text.getvalue()


def _cells(row: Iterable[str]) -> list[str]:
    """Return cells that no spreadsheet takes for a formula."""
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row]


def sums_json(report: SumsReport) -> str:
    """Return everything as JSON; its form is in docs/reference/sums-policy.md."""
    policy = report.policy
    whole = {
        "schema": SCHEMA,
        "verdict": report.word.value,
        "exit_code": report.word.exit_code,
        "policy": {
            "threshold": policy.threshold,
            "organisations": policy.organisations,
            "dissent": policy.dissent,
            "expired": policy.expired,
        },
        "manifests": {
            "signed": report.manifests,
            "counted": report.counted,
            "ignored": report.ignored,
        },
        "artifacts": [
            {
                "file": one.name,
                "sha256": one.sha256,
                "verdict": one.word.value,
                "release": one.release,
                "why": one.why,
            }
            for one in report.artifacts
        ],
        "files": [_file_json(file) for file in report.files],
        "findings": [
            {"where": one.where, "reason": one.reason, "detail": one.detail}
            for one in report.findings
        ],
    }
    return json.dumps(whole, ensure_ascii=True, indent=1)


def _file_json(file: FileVerdict) -> dict[str, object]:
    return {
        "release": file.release,
        "file": file.name,
        "verdict": file.word.value,
        "sha256": file.sha256,
        "why": file.why,
        "claims": [
            {
                "sha256": claim.sha256,
                "builders": list(claim.builders),
                "people": claim.people,
                "organisations": claim.organisations,
            }
            for claim in file.claims
        ],
        "contradicting": list(file.contradicting),
    }
