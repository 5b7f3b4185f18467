"""`relsign verify`: what a person with a download runs."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from relsign.cli.options import EXISTING, PATH, json_option
from relsign.cli.own_files import own_policy_option, trust_option
from relsign.cli.verdict import Asked, run_verify
from relsign.errors import InputError

_OF_SUMS = {"files", "sums", "keys", "own_policy", "as_json", "as_csv", "quiet"}
"""Parameters that --sha256sums heeds."""


@click.command(short_help="Check a downloaded file: VERIFIED, REFUSED or NOT ENOUGH.")
@click.argument("files", nargs=-1, type=EXISTING, metavar="[FILE]...")
@click.option("--root", "root", type=PATH, metavar="ROOT.json",
              help="A trust root you compared yourself; nothing is remembered.")  # fmt: skip
@click.option(
    "--bundle", "bundle", type=EXISTING, metavar="FILE.relsign",
    help="The release's evidence.  [default: the one beside FILE]",
)  # fmt: skip
@click.option("--pin", metavar="NAME", help="Which pinned root, where several are the project's.")
@click.option("--release", "wanted", metavar="VERSION",
              help="The version you want, even if you have seen a newer one.")  # fmt: skip
@click.option(
    "--level", type=click.Choice(["basic", "standard", "paranoid"]),
    help="How much to ask.  [default: standard]",
)  # fmt: skip
@click.option("--rebuilt", type=EXISTING, metavar="FOLDER",
              help="Your own rebuild of it, as `relsign build` left it.")  # fmt: skip
@own_policy_option
@trust_option
@click.option("--explain", is_flag=True, help="Show how to check each row with stock tools.")
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show every step and the evidence behind it.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code says it all.")
@click.option("--sha256sums", "sums", type=EXISTING, metavar="DIR",
              help="Verify a tree RELEASE/BUILDER/NAME.SHA256SUMS(.asc) instead.")  # fmt: skip
@click.option("--keys", "keys", type=EXISTING, metavar="DIR",
              help="Builders' OpenPGP keys, for --sha256sums.")  # fmt: skip
@click.option("--csv", "as_csv", is_flag=True, help="Print the report of --sha256sums as CSV.")
def verify(
    files: tuple[Path, ...],
    root: Path | None,
    bundle: Path | None,
    pin: str | None,
    wanted: str | None,
    level: str | None,
    rebuilt: Path | None,
    own_policy: Path | None,
    trust: Path,
    sums: Path | None,
    keys: Path | None,
    *,
    explain: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    as_csv: bool,
) -> int:
    """Check that each FILE is the release its project's people built and signed.

    Works offline and runs nothing. FILE must keep the name it was published under;
    its bundle, PROJECT-VERSION.relsign, is found beside it. A folder stands for all
    the files of a release, which must be in it. The root is the one you
    pinned with `relsign trust add`; what was verified is remembered there, so that
    nobody can pass off an older release as the newest.

    \b
    Exit codes
      0 VERIFIED     3 NOT ENOUGH evidence     5 this machine failed
      1 REFUSED      4 no trust root pinned    2 usage

    \b
    Examples
      relsign verify gzip-1.12-linux-amd64.tar.gz
      relsign verify --root root.json --level paranoid --rebuilt FOLDER FILE
      relsign verify --sha256sums guix.sigs --keys builder-keys --policy sums.toml
    """
    if sums is not None:
        _refuse_others(click.get_current_context())
        form = "quiet" if quiet else "json" if as_json else "csv" if as_csv else "table"
        return _verify_sums(sums, keys, own_policy, files, form)
    if keys is not None or as_csv:
        raise click.UsageError("--keys and --csv are for --sha256sums")
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    asked = Asked(
        files=files, trust=trust, root=root, bundle=bundle, pin=pin, wanted=wanted,
        level=level, rebuilt=rebuilt, own_policy=own_policy, explain=explain,
        as_json=as_json, verbose=verbose, quiet=quiet,
    )  # fmt: skip
    return run_verify(asked)


def _refuse_others(context: click.Context) -> None:
    """Refuse options that --sha256sums would not heed: nobody shall believe they were."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is ParameterSource.COMMANDLINE and parameter.name not in _OF_SUMS:
            raise click.UsageError(f"{parameter.opts[-1]} and --sha256sums do not go together")
    if context.params["as_json"] and context.params["as_csv"]:
        raise click.UsageError("--json and --csv are two different things")


def _verify_sums(
    sums: Path, keys: Path | None, policy: Path | None, files: tuple[Path, ...], form: str
) -> int:
    from relsign.cli.sums import verify_sums

    if keys is None or policy is None:
        raise InputError(
            "--sha256sums needs --keys and --policy",
            hint="the policy says whose keys count and how many: docs/reference/sums-policy.md",
        )
    return verify_sums(sums, keys, policy, files, form)
