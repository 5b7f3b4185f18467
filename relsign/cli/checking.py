"""How the outcome of `relsign check` looks: the verdict first, then who is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from relsign.build.twin.verdict import Blame, Checked, twin_of
from relsign.formats.canonical import shorten

MAX_NAMES = 4
"""File names on a line; the others are counted."""
KNOB_KINDS = {"user": "owner", "umask": "mode", "time": "mtime", "file-order": "order"}
"""Knob -> the kind of difference it makes in archives."""
MAX_CAUSES = 3
MAX_EXCERPT = 60
MAX_LISTED = 20
"""Places per cause in JSON."""


def check_lines(results: Iterable[Checked]) -> Iterator[str]:
    """Yield one screen per target."""
    for result in results:
        yield from _target_lines(result)


def verdict_words(result: Checked) -> str:
    """Return the verdict in capitals, with what it needs."""
    if result.verdict == "normalised":
        return f"IDENTICAL AFTER {' '.join(result.normalisers)}"
    return result.verdict.upper()


def _target_lines(result: Checked) -> Iterator[str]:
    many = len(result.artifacts)
    count = f"{len(result.differing)} of {many} artifacts change" if result.differing else ""
    made = f"{many} artifact{'' if many == 1 else 's'}"
    same = f"{made}, {len(result.varied)} knobs turned" if not result.blames else ""
    yield f"{verdict_words(result)}  {result.target}  {count or same}".rstrip()
    for blame in result.blames:
        yield from _blame_lines(blame)
    for reason, names in _by_reason(result.not_varied):
        yield f"  - not varied: {', '.join(names)} ({reason})"
    if result.verdict == "normalised":
        wanted = ", ".join(f'"{name}"' for name in result.normalisers)
        yield f"  fix: make the archive itself the same, or ask for `normalise = [{wanted}]`"


def _by_reason(reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    gathered: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        gathered.setdefault(reason, []).append(name)
    return sorted(gathered.items())


def _blame_lines(blame: Blame) -> Iterator[str]:
    names = " ".join(blame.artifacts[:MAX_NAMES])
    more = f" and {len(blame.artifacts) - MAX_NAMES} more" if blame.artifacts[MAX_NAMES:] else ""
    yield f"  ✗ {_culprit(blame)}  {names}{more}".rstrip()
    if blame.failed:
        yield f"      the build fails: {shorten(blame.failed, 300)}"
        return
    if not blame.found:
        for place in _places(blame, frozenset())[:1]:
            yield f"      place  {place}"
        yield "      cause  none that is known; compare the files that --keep leaves"
    for found in blame.found[:MAX_CAUSES]:
        for place in _places(blame, frozenset(found.places))[:1]:
            yield f"      place  {place}"
        yield f"      cause  {found.cause.sentence}"
        yield f"      fix    {found.cause.fix}"


def _culprit(blame: Blame) -> str:
    if blame.unsteady:
        return "chance (not in every build)"
    if not blame.knobs:
        return "chance (nothing varied)"
    words = " + ".join(sorted(blame.knobs))
    return f"{words} (seen in the bytes)" if blame.is_seen else words


def _places(blame: Blame, wanted: frozenset[str]) -> list[str]:
    """Return places with both sides' excerpts, all where none is wanted.

    One place may differ in several ways: the one that the guilty knob changes comes first.
    """
    telling = {KNOB_KINDS.get(knob) for knob in blame.knobs}
    return [
        f"{each.place}: {shorten(each.one, MAX_EXCERPT)} | {shorten(each.two, MAX_EXCERPT)}"
        for each in sorted(blame.differences, key=lambda each: each.kind not in telling)
        if not wanted or each.place in wanted
    ]


def check_json(results: Iterable[Checked]) -> dict[str, object]:
    """Return the outcome for scripts; schema in docs/how-to/my-build-is-not-reproducible.md."""
    return {"schema": "relsign/check/1", "targets": [_target_json(each) for each in results]}


def _target_json(result: Checked) -> dict[str, object]:
    twin = twin_of(result)
    return {
        "target": result.target,
        "verdict": result.verdict,
        "varied": list(result.varied),
        "not_varied": dict(result.not_varied),
        "normalisers": list(twin.normalisers),
        "causes": list(twin.causes),
        "artifacts": list(result.artifacts),
        "differing": list(result.differing),
        "builds": result.builds,
        "blames": [_blame_json(blame) for blame in result.blames],
    }


def _blame_json(blame: Blame) -> dict[str, object]:
    return {
        "knobs": sorted(blame.knobs),
        "artifacts": list(blame.artifacts),
        "unsteady": blame.unsteady,
        "seen_in_bytes": blame.is_seen,
        "build_fails": blame.failed,
        "causes": [
            {
                "name": found.cause.name,
                "sentence": found.cause.sentence,
                "fix": found.cause.fix,
                "places": list(found.places[:MAX_LISTED]),
            }
            for found in blame.found
        ],
        "places": _places(blame, frozenset())[:MAX_LISTED],
    }
