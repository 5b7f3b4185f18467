"""`relsign verify --sha256sums`: files against other projects' signed manifests."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.show import MAX_NAMES
from relsign.cli.talk import say
from relsign.errors import InputError, NotEnoughError


def verify_sums(
    sums: Path, keys: Path, policy: Path, files: tuple[Path, ...], as_format: str
) -> int:
    """Print the verdicts on `files`, or on every file the manifests below `sums` name.

    `keys` is a folder of builders' key files, `policy` a TOML file, `as_format` one of
    table, csv, json and quiet, which prints nothing.  Returns the exit code: 0 all
    verified, 1 something is refused, 3 not enough.  Raises InputError for a policy that is
    absent or malformed, and as `check_sums`.
    """
    from relsign.formats.sums_policy import parse_sums_policy
    from relsign.system.clock import now_utc
    from relsign.trust.sums.look import check_sums
    from relsign.trust.sums.report import sums_csv, sums_json, sums_table

    if as_format not in {"table", "csv", "json", "quiet"}:
        raise InputError("no such format", expected="table, csv, json or quiet", got=as_format)
    parsed = parse_sums_policy(_read_policy(policy), str(policy))
    report = check_sums(sums, keys, parsed, files, now_utc())
    if as_format == "table":
        for line in sums_table(report, _title(files) if files else str(sums)):
            say(line)
    elif as_format != "quiet":
        text = sums_csv(report) if as_format == "csv" else sums_json(report)
        click.echo(text, nl=as_format == "json")
    return report.word.exit_code


def _read_policy(policy: Path) -> bytes:
    """Read a file of the person who asks: without it nothing can be asked at all."""
    from relsign.system.files import read_bounded

    try:
        return read_bounded(policy, 1 << 20)
    except NotEnoughError as error:
        hint = "what it says: docs/reference/sums-policy.md"
        raise InputError(error.what, where=error.where, hint=hint) from error


def _title(files: tuple[Path, ...]) -> str:
    names = ", ".join(ascii(path.name)[1:-1] for path in files[:MAX_NAMES])
    return names + (f" and {len(files) - MAX_NAMES} more" if len(files) > MAX_NAMES else "")
