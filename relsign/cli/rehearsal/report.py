"""The report of a rehearsal: for people (Markdown) and for scripts (canonical JSON)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from relsign import __version__
from relsign.cli.rehearsal.shape import Shape
from relsign.cli.rehearsal.stage import Done, Step
from relsign.cli.talk import printable
from relsign.formats.canonical import encode_canonical


@dataclass(frozen=True, slots=True)
class Report:
    """A rehearsal from its beginning to where it ended."""

    shape: Shape
    started_at: datetime
    """Aware UTC."""
    steps: tuple[Step, ...]
    planned: int
    """How many acts there are."""

    @property
    def went_well(self) -> bool:
        """Say whether every act was played, and went as it should."""
        return len(self.steps) == self.planned and not any(step.trouble for step in self.steps)

    @property
    def milliseconds(self) -> int:
        """How long it took."""
        return sum(step.milliseconds for step in self.steps)

    def to_json(self) -> bytes:
        """Return the report as canonical JSON, `relsign/rehearsal/1`."""
        shape = self.shape
        return encode_canonical(
            {
                "format": "relsign/rehearsal/1",
                "relsign": __version__,
                "project": shape.project,
                "started_at": self.started_at.isoformat(),
                "went_well": self.went_well,
                "milliseconds": self.milliseconds,
                "people": [{**asdict(p), "roles": list(p.roles)} for p in shape.people],
                "release_key": {
                    "participants": list(shape.participants),
                    "threshold": shape.threshold,
                },
                "notes": list(shape.notes),
                "steps": [_step(step) for step in self.steps],
            }
        )

    def to_markdown(self) -> str:
        """Return the report as a page."""
        shape = self.shape
        verdict = "Every step went as it should." if self.went_well else "NOT as it should."
        took, shared = _seconds(self.milliseconds), ", ".join(shape.participants)
        lines = [
            f"# Rehearsal of {shape.project}",
            "",
            f"{verdict} {self.started_at:%Y-%m-%d %H:%M} UTC, relsign {__version__}, {took}.",
            "Every key was thrown away.",
            "",
            f"{shape.threshold} of {shared} share the release key.",
            "",
            *(f"- {note}" for note in shape.notes),
            "",
            "| | step | time |",
            "|---|---|---|",
            *(f"| {_mark(s)} | {s.title} | {_seconds(s.milliseconds)} |" for s in self.steps),
        ]
        for step in self.steps:
            lines += ["", *_page(step)]
        return "\n".join(lines) + "\n"


def _step(step: Step) -> dict[str, object]:
    return {
        "title": step.title,
        "should": step.should,
        "trouble": step.trouble,
        "milliseconds": step.milliseconds,
        "commands": [{**asdict(done), "said": list(done.said)} for done in step.done],
    }


def _page(step: Step) -> list[str]:
    lines = [f"## {step.title}", "", step.should, ""]
    if step.trouble:
        lines += [f"**Went otherwise:** {printable(step.trouble)}", ""]
    lines += ["```text"]
    for done in step.done:
        lines += _command(done)
    return [*lines, "```"]


def _command(done: Done) -> list[str]:
    code = "" if done.exit_code == 0 else f"   # exit code {done.exit_code}"
    said = [f"    {printable(line)}" for line in done.said]
    return [f"{done.who} $ {printable(done.command)}{code}", *said]


def _mark(step: Step) -> str:
    return "FAILED" if step.trouble else "ok"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s"
