"""`relsign verify`: what a person with a download runs."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import EXISTING, PATH, json_option
from relsign.cli.show import show_verdict, verdict_json
from relsign.crypto.digest import sha256_hex
from relsign.crypto.words import digest_words
from relsign.publish.outside import find_bundle, read_root, verify_files
from relsign.system.clock import now_utc


@click.command(short_help="Check a downloaded file: VERIFIED, REFUSED or NOT ENOUGH.")
@click.argument("file", type=EXISTING)
@click.option("--root", "root", type=PATH, metavar="ROOT.json", help="The trust root you pinned.")
@click.option(
    "--bundle", "bundle", type=EXISTING, metavar="FILE.relsign",
    help="The release's evidence.  [default: the one beside FILE]",
)  # fmt: skip
@json_option
@click.option("-v", "--verbose", is_flag=True, help="Show every step and the evidence behind it.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code says it all.")
def verify(
    file: Path,
    root: Path | None,
    bundle: Path | None,
    *,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Check that FILE is the release its project's people built and signed.

    Works offline, runs nothing, writes nothing.  FILE must keep the name it was
    published under; its bundle, PROJECT-VERSION.relsign, is found beside it.

    \b
    Exit codes
      0 VERIFIED     3 NOT ENOUGH evidence     5 this machine failed
      1 REFUSED      4 no trust root pinned    2 usage

    \b
    Example
      relsign verify --root root.json gzip-1.12-linux-amd64.tar.gz
    """
    pinned = read_root(root)
    decision = verify_files(pinned, [file], bundle or find_bundle(file), now_utc())
    if as_json:
        click.echo(verdict_json(file.name, decision.verdict))
    elif not quiet:
        show_verdict(ascii(file.name)[1:-1], decision.verdict, verbose=verbose)
        if verbose:
            click.echo(f"  root words    {digest_words(sha256_hex(pinned))}")
    return decision.verdict.word.exit_code
