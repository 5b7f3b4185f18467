"""`relsign verify-dsse`: check somebody else's attestation by public keys in hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import EXISTING, PATH, json_option
from relsign.cli.show import GLYPHS, MAX_LINE, NEXT
from relsign.cli.talk import say
from relsign.errors import InputError
from relsign.verify.verdict import Outcome, Row

if TYPE_CHECKING:
    from relsign.verify.dsse import DsseDecision

WORDS = {Outcome.REFUSED: "refused: ", Outcome.MISSING: "missing: "}


@click.command(short_help="Check a DSSE envelope (in-toto, SLSA) by public keys you name.")
@click.argument("envelope", type=PATH)
@click.option("--key", "keys", multiple=True, metavar="FILE",
              help="A public key you trust.  [required, or --policy]")  # fmt: skip
@click.option(
    "--threshold", type=int, metavar="N",
    help="How many different keys must have signed.  [required, or --policy]",
)  # fmt: skip
@click.option(
    "--payload-type", "payload_type", metavar="TYPE",
    help="Type the payload must have.  [default: application/vnd.in-toto+json]",
)  # fmt: skip
@click.option(
    "--subject", "subjects", multiple=True, type=EXISTING, metavar="FILE",
    help="A file the statement must speak of.",
)  # fmt: skip
@click.option(
    "--predicate-type", "predicate_type", metavar="URI", help="Predicate the statement must have."
)
@click.option(
    "--builder-id", "builders", multiple=True, metavar="URI=FILE",
    help="The builder for which the key of FILE may speak.",
)  # fmt: skip
@click.option(
    "--policy", type=PATH, metavar="FILE", help="All of it in a file; then name no key here."
)
@json_option
def verify_dsse(
    envelope: Path,
    keys: tuple[str, ...],
    threshold: int | None,
    payload_type: str | None,
    subjects: tuple[Path, ...],
    predicate_type: str | None,
    builders: tuple[str, ...],
    policy: Path | None,
    *,
    as_json: bool,
) -> int:
    """Check that enough of the keys you trust signed ENVELOPE, and what it says.

    ENVELOPE is a DSSE envelope (.json), or one per line (.jsonl).  Keys are PEM,
    64 hexadecimal digits or a line of OpenSSH: Ed25519, ECDSA P-256 or RSA.  The
    same key counts once in whatever form; the names of keys decide nothing.

    \b
    Example
      relsign verify-dsse --key a.pem --key b.pem --threshold 2 \\
        --subject gzip-1.12.tar.gz gzip-1.12.intoto.jsonl
    \f
    Raises InputError for words that contradict each other; what is wrong with ENVELOPE is shown.
    """
    from relsign.trust.dsse import load_expectation, make_expectation, verify_dsse_file

    given = (keys, threshold is not None, payload_type is not None, predicate_type, builders)
    if policy is not None and any(given):
        raise InputError(
            "a policy and its parts",
            where="--policy",
            expected="--policy with --subject and --json only",
            hint="write keys, threshold and types into the policy",
        )
    expectation = (
        load_expectation(policy)
        if policy is not None
        else make_expectation(
            _some(keys),
            _stated(threshold),
            "application/vnd.in-toto+json" if payload_type is None else payload_type,
            predicate_type,
            _builders(builders, keys),
        )
    )
    decision = verify_dsse_file(envelope, expectation, subjects)
    name = os.fspath(envelope.name)
    click.echo(decision_json(name, decision)) if as_json else show_decision(name, decision)
    return decision.word.exit_code


def _some(keys: tuple[str, ...]) -> tuple[str, ...]:
    if not keys:
        raise InputError(
            "no key to check with", where="--key", hint="name a public key, or a policy"
        )
    return keys


def _stated(threshold: int | None) -> int:
    if threshold is None:
        raise InputError(
            "no threshold",
            where="--threshold",
            hint="say how many different keys must have signed, such as --threshold 1",
        )
    return threshold


def _builders(pairs: tuple[str, ...], keys: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Return key file -> builder ids; a URI may itself hold ``=``."""
    found: dict[str, frozenset[str]] = {}
    for pair in pairs:
        uri, _, key = pair.rpartition("=")
        if not uri or key not in keys:
            raise InputError(
                "builder id without its key",
                where="--builder-id",
                expected="URI=FILE, where FILE is also given with --key",
                got=pair[:200],
                hint="say which key may speak for which builder",
            )
        found[key] = found.get(key, frozenset()) | {uri}
    return found


def show_decision(name: str, decision: DsseDecision) -> None:
    """Print the word and the envelope's name, then the rows of each answer."""
    say(f"{decision.word.value}  {name}")
    for answer in decision.answers:
        if len(decision.answers) > 1:
            say(f"  line {answer.line}: {answer.verdict.word.value}")
        for row in answer.verdict.rows:
            if row.outcome is not Outcome.NOT_REACHED:
                _show_row(row)
    if NEXT[decision.word]:
        click.echo(NEXT[decision.word])


def _show_row(row: Row) -> None:
    text = f"{WORDS.get(row.outcome, '')}{row.text}"[:MAX_LINE]
    say(f"  {GLYPHS[row.outcome]} {row.name:<13}{text}")
    if row.hint and row.outcome is not Outcome.PASS:
        say(f"      hint: {row.hint}")
    if row.outcome is Outcome.PASS:
        for line in row.evidence[:50]:
            say(f"      {line}")


def decision_json(name: str, decision: DsseDecision) -> str:
    """Return the decision as JSON; described in docs/reference/dsse-policy.md."""
    return json.dumps(
        {
            "schema": "relsign/dsse-verdict/1",
            "file": name,
            "verdict": decision.word.value,
            "exit_code": decision.word.exit_code,
            "answers": [
                {
                    "line": answer.line,
                    "files": list(answer.files),
                    "verdict": answer.verdict.word.value,
                    "rows": [_row_json(row) for row in answer.verdict.rows],
                }
                for answer in decision.answers
            ],
        },
        ensure_ascii=True,
        indent=2,
    )


def _row_json(row: Row) -> dict[str, object]:
    return {
        "step": row.number,
        "name": row.name,
        "outcome": row.outcome.value,
        "text": row.text,
        "hint": row.hint,
        "evidence": list(row.evidence),
    }
