"""Did the upstream author sign these bytes?  One detached OpenPGP signature, judged strictly.

GnuPG's exit code says too little and its words too much: an expired or a revoked key
exits 0, and one good signature beside a bad one prints GOODSIG.  So it runs in a
throw-away home that holds only the given certificate, and its status lines decide
(doc/DETAILS of GnuPG, "Format of the --status-fd output"):

1. exactly one signature in the file: one NEWSIG, one VALIDSIG;
2. none of BADSIG, ERRSIG, EXPSIG, REVKEYSIG;
3. class 00, a signature over binary bytes;
4. made with SHA-256, SHA-384 or SHA-512;
5. VALIDSIG's primary key is the fingerprint the recipe names;
6. made before the key expired, if it has expired since (EXPKEYSIG).

Rule 6 lets a release be rebuilt years later, when its author's key has run out.
A stolen expired key could date a signature back, but not change what is built:
the recipe pins the source by digest, and the signature was judged when that was
written down.  Nobody counts toward a threshold by this rule.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gnupg

from relsign.errors import HostError, InputError, VerificationError
from relsign.system.files import open_regular
from relsign.system.process import clean_environment, require_program

STATUS = "[GNUPG:] "
FATAL = frozenset({"BADSIG", "ERRSIG", "EXPSIG", "REVKEYSIG"})
SHA2 = frozenset({"8", "9", "10"})
BINARY_CLASS = "00"
VALIDSIG_FIELDS = 10


@dataclass(frozen=True, slots=True)
class UpstreamSigned:
    """Who signed and when, as the signature says: seconds since 1970."""

    fingerprint: str
    made_at: int


def verify_upstream(
    data: Path, signature: Path, certificate: bytes, fingerprint: str, where: str
) -> UpstreamSigned:
    """Verify a detached OpenPGP `signature` of the file `data`.

    `certificate` is the author's public key, `fingerprint` its primary key as 40
    upper-case hexadecimal digits.  Raises InputError if the certificate is not
    that key, VerificationError at `where` if any of the rules above fails.
    """
    # A short path: GnuPG puts sockets beside its keys, and their names are bounded.
    with tempfile.TemporaryDirectory(prefix="relsign-") as home:
        gpg = _fresh_gpg(home)
        gpg.import_keys(certificate)
        expiry = _expiry(gpg, fingerprint, where)
        with open_regular(signature) as stream:
            result = gpg.verify_file(stream, str(data), close_file=False)
    lines = [
        line.removeprefix(STATUS).split()
        for line in str(result.stderr).splitlines()
        if line.startswith(STATUS)
    ]
    return _judge([words for words in lines if words], fingerprint, expiry, where)


def _fresh_gpg(home: str) -> gnupg.GPG:
    return gnupg.GPG(
        gpgbinary=require_program("gpg", "gnupg"),
        gnupghome=home,
        env=clean_environment(),
        options=[
            "--no-options",
            "--no-auto-key-retrieve",
            "--no-auto-key-import",
            *("--trust-model", "always"),
            # Only status lines are left on the stream we read, so no user id in a
            # message for people can imitate one.
            *("--logger-file", "/dev/null"),
        ],
    )


def _expiry(gpg: gnupg.GPG, fingerprint: str, where: str) -> dict[str, int]:
    """Return when each key of the one imported certificate expires; 0 is never."""
    keys = gpg.list_keys()
    if [key["fingerprint"] for key in keys] != [fingerprint]:
        found = ", ".join(key["fingerprint"] for key in keys)
        raise InputError(
            "certificate file must hold the one key named",
            where=f"{where}.key",
            expected=fingerprint,
            got=found or "no key",
        )
    primary = keys[0]
    expiry = {fingerprint: int(primary["expires"] or 0)}
    for subkey in primary.get("subkey_info", {}).values():
        expiry[subkey["fingerprint"]] = int(subkey["expires"] or 0)
    return expiry


def _judge(
    lines: Sequence[Sequence[str]], fingerprint: str, expiry: dict[str, int], where: str
) -> UpstreamSigned:
    words = [line[0] for line in lines]
    valid = [line[1:] for line in lines if line[0] == "VALIDSIG"]
    # Rule 1.
    if words.count("NEWSIG") > 1 or len(valid) > 1:
        raise _refused("more than one signature", where)
    # Rule 2.
    fatal = sorted(FATAL.intersection(words))
    if fatal:
        raise _refused("not a good signature", where, got=", ".join(fatal))
    if not valid or len(valid[0]) < VALIDSIG_FIELDS:
        raise _refused("no signature", where, got=" ".join(dict.fromkeys(words))[:200])
    signed_by, _, made, _, _, _, _, hash_id, signature_class, primary = valid[0][:VALIDSIG_FIELDS]
    # Rule 3.
    if signature_class != BINARY_CLASS:
        raise _refused("signature is not over binary bytes", where, got=f"class {signature_class}")
    # Rule 4.
    if hash_id not in SHA2:
        raise _refused("signature uses a weak hash", where, got=f"OpenPGP hash {hash_id}")
    # Rule 5.
    if primary != fingerprint:
        raise _refused("signed by another key", where, expected=fingerprint, got=primary)
    # Rule 6.
    limits = [limit for limit in (expiry.get(primary), expiry.get(signed_by)) if limit]
    made_at = _seconds(made)
    if limits and made_at >= min(limits):
        raise _refused("signed after the key expired", where, got=f"{made_at}")
    if "EXPKEYSIG" in words and not limits:
        raise _refused("signed by an expired key", where)
    return UpstreamSigned(primary, made_at)


def _seconds(text: str) -> int:
    if not text.isdigit():  # GnuPG may write ISO dates after 2038; we refuse to guess
        raise HostError("gpg prints times in an unknown form", got=text[:40])
    return int(text)


def _refused(what: str, where: str, *, expected: str = "", got: str = "") -> VerificationError:
    return VerificationError(f"upstream: {what}", where=where, expected=expected, got=got)
