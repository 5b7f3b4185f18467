"""`relsign verify-dsse`, the shell: read envelope, policy and keys, hash files, decide.

It reads what it was given by name and nothing else, and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from relsign.crypto.spki import MAX_KEY_BYTES
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import MAX_BYTES
from relsign.formats.dsse_policy import parse_dsse_policy
from relsign.formats.envelope import MAX_ENVELOPE_BYTES
from relsign.formats.foreign_envelope import split_lines
from relsign.system.files import hash_file, read_bounded
from relsign.verify.dsse import DsseDecision, decide_dsse
from relsign.verify.dsse_expectation import Expectation, expect_keys, expect_policy

_SEEN_FROM = "check the path; keys of a policy are seen from its own folder"


def verify_dsse_file(
    envelope: Path, expectation: Expectation, subjects: Sequence[Path] = ()
) -> DsseDecision:
    """Return the decision on one envelope file about the files in `subjects`.

    A name that ends in ``.jsonl`` holds one envelope per line, any other one envelope.
    Raises InputError for a file that is absent, too large or no regular file, and for two
    files of one name; the rest becomes rows of the decision.
    """
    data = _read_own(envelope, MAX_ENVELOPE_BYTES, "check the path of the envelope")
    lines = envelope.name.endswith(".jsonl")
    envelopes = split_lines(data, os.fspath(envelope)) if lines else ((1, data),)
    digests: dict[str, str] = {}
    for path in subjects:
        if path.name in digests:
            raise InputError(
                "two files of the same name", where=os.fspath(path), hint="verify them one by one"
            )
        digests[path.name] = hash_file(path).sha256
    return decide_dsse(envelopes, expectation, digests)


def load_expectation(policy: Path) -> Expectation:
    """Return what a policy file asks for; its keys' files are seen from its own folder.

    Raises InputError for a bad policy or key, and for a file that is absent.
    """
    where = os.fspath(policy)
    parsed = parse_dsse_policy(_read_own(policy, MAX_BYTES), where)
    files = {
        entry.file: _read_own(policy.parent / entry.file, MAX_KEY_BYTES)
        for entry in parsed.key
        if entry.file is not None
    }
    return expect_policy(parsed, files, where)


def make_expectation(
    keys: Sequence[str],
    threshold: int,
    payload_type: str,
    predicate_type: str | None,
    builders: Mapping[str, frozenset[str]],
) -> Expectation:
    """Return what a command line asks for; `keys` and the keys of `builders` are paths.

    Raises InputError for a bad key or threshold, and for a file that is absent.
    """
    data = {key: _read_own(Path(key), MAX_KEY_BYTES) for key in keys}
    return expect_keys(data, threshold, payload_type, predicate_type, builders)


def _read_own(path: Path, max_bytes: int, hint: str = _SEEN_FROM) -> bytes:
    """Read a file of the person who asks: without it nothing can be asked at all."""
    try:
        return read_bounded(path, max_bytes)
    except NotEnoughError as error:
        raise InputError(error.what, where=error.where, hint=hint) from error
