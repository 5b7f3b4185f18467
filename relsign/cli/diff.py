"""`relsign diff`: why two artifacts differ, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import EXISTING, PATH, json_option, show_path
from relsign.cli.talk import say, talk
from relsign.errors import InputError

if TYPE_CHECKING:
    from relsign.build.explain.causes import Found
    from relsign.build.explain.difference import Difference
    from relsign.build.explain.diffoscope import Opinion
    from relsign.build.explain.subjects import Explanation

MAX_PLACES = 4
MAX_DIFFERENCES = 40
MAX_OPINION = 40


@click.command(short_help="Why two artifacts differ: cause, place and fix.")
@click.argument("one", metavar="A", type=EXISTING)
@click.argument("two", metavar="B", type=EXISTING)
@click.option("--html", "page", type=PATH, metavar="FILE",
              help="Write diffoscope's page for people there.")  # fmt: skip
@click.option("--no-diffoscope", "alone", is_flag=True, help="Do not ask diffoscope.")
@json_option
def diff(one: Path, two: Path, page: Path | None, *, alone: bool, as_json: bool) -> int:
    """Compare two artifacts, two folders of them, or two fingerprints.

    The cause comes first, with its fix, then the places that differ, then what
    diffoscope finds where it is installed.  Nothing is unpacked anywhere and links
    are not followed.  docs/reference/causes.md lists the causes.

    Exit code 0 when the bytes are the same, 1 when they differ, 2 for bad input.
    """
    from relsign.build.explain.subjects import explain

    if page is not None and alone:
        raise InputError("--html needs diffoscope", hint="leave --no-diffoscope out")
    found = explain(one, two)
    opinion = None if alone else _opinion(found, page)
    if as_json:
        click.echo(json.dumps(_document(found, opinion, page), indent=2))
    else:
        _show(found, opinion, page)
    return 0 if found.is_same else 1


def _opinion(found: Explanation, page: Path | None) -> Opinion | None:
    """Ask diffoscope about the first pair of files that differ."""
    from relsign.build.explain.diffoscope import ask_diffoscope
    from relsign.system.files import write_whole

    if not found.pairs:
        return None
    opinion = ask_diffoscope(*found.pairs[0])
    if page is not None and opinion.html:
        write_whole(page, opinion.html)
    return opinion


def _show(found: Explanation, opinion: Opinion | None, page: Path | None) -> None:
    if found.is_same:
        say("SAME BYTES" if found.subject == "files" else f"SAME BYTES ({found.subject})")
        return
    say("DIFFERENT: " + (", ".join(each.cause.name for each in found.causes) or "no known cause"))
    for each in found.causes:
        _show_cause(each)
    say("differences:")
    for difference in found.differences[:MAX_DIFFERENCES]:
        _show_difference(difference)
    more = len(found.differences) - MAX_DIFFERENCES
    if more > 0 or found.dropped:
        say(f"  … {max(0, more) + found.dropped} more")
    if opinion is not None:
        _show_opinion(opinion, page)


def _show_cause(found: Found) -> None:
    cause = found.cause
    say(f"  {cause.name}: {cause.sentence}")
    for place in found.places[:MAX_PLACES]:
        say(f"    at:  {place}")
    if len(found.places) > MAX_PLACES:
        say(f"    at:  … {len(found.places) - MAX_PLACES} more places")
    say(f"    fix: {cause.fix}")


def _show_difference(difference: Difference) -> None:
    say(f"  {difference.place} ({difference.kind})")
    say(f"    - {difference.one}")
    say(f"    + {difference.two}")


def _show_opinion(opinion: Opinion, page: Path | None) -> None:
    if opinion.problem:
        talk(f"note: {opinion.problem}")
        return
    say("diffoscope:")
    for line in opinion.lines[:MAX_OPINION]:
        say(f"  {line}")
    if len(opinion.lines) > MAX_OPINION:
        say(f"  … {len(opinion.lines) - MAX_OPINION} more lines")
    say(f"  page: {show_path(page)}" if page else "  for a page to read: --html FILE")


def _document(found: Explanation, opinion: Opinion | None, page: Path | None) -> dict[str, object]:
    return {
        "schema": "relsign/diff/1",
        "subject": found.subject,
        "same": found.is_same,
        "causes": [
            {
                "name": each.cause.name,
                "sentence": each.cause.sentence,
                "fix": each.cause.fix,
                "places": list(each.places),
            }
            for each in found.causes
        ],
        "differences": [
            {"place": d.place, "kind": d.kind, "what": d.what, "one": d.one, "two": d.two}
            for d in found.differences
        ],
        "more_differences": found.dropped,
        "diffoscope": None
        if opinion is None
        else {
            "problem": opinion.problem,
            "report": json.loads(opinion.json) if opinion.json else None,
            "html": str(page) if page and opinion.html else None,
        },
    }
