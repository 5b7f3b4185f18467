"""Run `relsign verify` and show the verdict; loaded without click, to start fast."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from relsign.cli.places import own_policy_file
from relsign.cli.show import MAX_LINE, MAX_NAMES, verdict_json, verdict_lines
from relsign.cli.talk import say, talk
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.canonical import Value
from relsign.formats.root import parse_root
from relsign.system.clock import now_utc
from relsign.trust.pins.own_policy import read_own_policy
from relsign.trust.pins.store import TrustStore
from relsign.trust.verification import Outcome, Request, verify_request
from relsign.verify.demands import Level

LEVELS = {"basic": Level.BASIC, "standard": Level.STANDARD, "paranoid": Level.PARANOID}


class Asked(Value, frozen=True):
    """The options of `relsign verify`, as they were given."""

    files: tuple[Path, ...]
    trust: Path
    root: Path | None = None
    bundle: Path | None = None
    pin: str | None = None
    wanted: str | None = None
    level: str | None = None
    rebuilt: Path | None = None
    own_policy: Path | None = None
    explain: bool = False
    as_json: bool = False
    verbose: bool = False
    quiet: bool = False


def run_verify(asked: Asked) -> int:
    """Verify, print, and return the exit code.

    Raises InputError for ways to print that exclude each other, else what
    `verify_request` raises.
    """
    if asked.explain and (asked.as_json or asked.quiet):
        other = "--json" if asked.as_json else "--quiet"
        raise InputError(
            f"--explain and {other} are two different things", hint=f"leave {other} away"
        )
    if asked.root is not None and asked.pin is not None:
        raise InputError(
            "--root and --pin both say whom to trust",
            hint="--root names a file that stands for itself; --pin one of your trust store",
        )
    now = now_utc()
    outcome = verify_request(
        Request(
            files=asked.files,
            store=TrustStore(asked.trust),
            now=now,
            bundle=asked.bundle,
            root=asked.root,
            pin=asked.pin,
            wanted=asked.wanted,
            level=LEVELS[asked.level] if asked.level else None,
            own_policy=read_own_policy(asked.own_policy, own_policy_file()),
            rebuilt=asked.rebuilt,
            thorough=asked.verbose or asked.as_json or asked.explain,
        )
    )
    for note in outcome.notes:
        talk(f"note: {note}")
    verdict = outcome.decision.verdict
    if asked.as_json:
        print_json(outcome)
    elif not asked.quiet:
        _show(asked, outcome, now)
    if outcome.trouble is not None:
        talk("note: the verdict stands, and could not be remembered")
        raise outcome.trouble
    return verdict.word.exit_code


def print_json(outcome: Outcome) -> None:
    """Print the verdict as JSON."""
    level = outcome.demands.level.name.lower()
    say_whole(verdict_json(outcome.digests, outcome.decision.verdict, level))


def say_whole(text: str) -> None:
    """Print several lines, which hold nothing but printable ASCII."""
    for line in text.splitlines():
        say(line)


def _show(asked: Asked, outcome: Outcome, now: datetime) -> None:
    names = [ascii(path.name)[1:-1] for path in asked.files]
    shown = ", ".join(names[:MAX_NAMES])
    if len(names) > MAX_NAMES:
        shown += f" and {len(names) - MAX_NAMES} more"
    level = outcome.demands.level
    extra = "" if level is Level.STANDARD else f"  (level {level.name.lower()})"
    title = shown[:MAX_LINE] + extra
    # Whatever is no command is a comment for a shell: the whole output may be piped into one.
    mark = "# " if asked.explain else ""
    for line in verdict_lines(title, outcome.decision.verdict, verbose=asked.verbose):
        say(f"{mark}{line}")
    if asked.verbose:
        from relsign.crypto.words import digest_words

        signed = parse_root(outcome.root).signed
        say(f"{mark}  root words    {digest_words(sha256_hex(signed.to_bytes()))}")
    if asked.explain:
        from relsign.cli.explain import show_explanation

        show_explanation(
            outcome.decision,
            outcome.root,
            file=_first(asked.files[0], outcome),
            bundle=outcome.bundle,
            root=outcome.root_file,
            now=now,
        )


def _first(path: Path, outcome: Outcome) -> Path:
    """Return the file to look at by hand: of a folder, the first that was verified."""
    return path / next(iter(outcome.digests), "") if path.is_dir() else path
