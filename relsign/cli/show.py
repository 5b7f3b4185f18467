"""How values look on the terminal; stdout is data, stderr is talk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from relsign.cli.talk import say
from relsign.verify.verdict import Outcome, Row, Verdict, Word

GLYPHS = {
    Outcome.PASS: "✓",
    Outcome.REFUSED: "✗",
    Outcome.MISSING: "…",
    Outcome.NOT_REQUIRED: "-",
    Outcome.NOT_REACHED: "-",
}
NEXT = {
    Word.VERIFIED: "",
    Word.REFUSED: "Do not use it.",
    Word.NOT_ENOUGH: "Wait for what is missing; do not use it yet.",
}
MAX_LINE = 400
MAX_NAMES = 5
"""File names on the verdict's first line."""


def short_digest(digest: str) -> str:
    """Return ``9f2c 41b7 … 77e1`` of a SHA-256."""
    return f"{digest[:4]} {digest[4:8]} … {digest[-4:]}"


def human_size(size_bytes: int) -> str:
    """Return a size in the unit people read."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - the binary step
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def show_verdict(name: str, verdict: Verdict, *, verbose: bool) -> None:
    """Print the verdict: its word and the file, a row per reason, what to do next."""
    for line in verdict_lines(name, verdict, verbose=verbose):
        say(line)


def verdict_lines(name: str, verdict: Verdict, *, verbose: bool) -> Iterator[str]:
    """Yield what `show_verdict` prints."""
    yield f"{verdict.word.value}  {name}"
    for row in verdict.rows:
        quiet = row.outcome in {Outcome.NOT_REQUIRED, Outcome.NOT_REACHED}
        if verbose or not quiet:
            yield from _row_lines(row, verbose=verbose)
    if NEXT[verdict.word]:
        yield NEXT[verdict.word]


def _row_lines(row: Row, *, verbose: bool) -> Iterator[str]:
    word = {Outcome.PASS: "", Outcome.REFUSED: "refused: ", Outcome.MISSING: "missing: "}
    text = f"{word.get(row.outcome, '')}{row.text}"[:MAX_LINE]
    yield f"  {GLYPHS[row.outcome]} {row.name:<12}{text}"
    if row.hint and row.outcome is not Outcome.PASS:
        yield f"      hint: {row.hint}"
    if verbose:
        for line in row.evidence[:50]:
            yield f"      {line}"


def verdict_json(digests: Mapping[str, str], verdict: Verdict, level: str) -> str:
    """Return the verdict as JSON; schema in docs/reference/verify-json.md."""
    return json.dumps(
        {
            "schema": "relsign/verdict/1",
            "level": level,
            "files": [{"name": name, "sha256": digest} for name, digest in digests.items()],
            "verdict": verdict.word.value,
            "exit_code": verdict.word.exit_code,
            "rows": [
                {
                    "step": row.number,
                    "name": row.name,
                    "outcome": row.outcome.value,
                    "text": row.text,
                    "hint": row.hint,
                    "evidence": list(row.evidence),
                }
                for row in verdict.rows
            ],
        },
        ensure_ascii=True,
        indent=2,
    )
