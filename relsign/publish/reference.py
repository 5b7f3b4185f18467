"""A second opinion: the reference in-toto verifier must agree before publication.

It runs in a process of its own, in a network namespace with nothing in it, on the
staged files, and only after our own verifier accepted the layout: the only
inspection command that can be in it is `true`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from relsign.errors import HostError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.canonical import shorten
from relsign.system.process import require_program, run_program

# The module itself does nothing when it is run with -m, and exits 0 doing so.
PROGRAM = "from in_toto.in_toto_verify import main; main()"

MAX_SAID = 300
TIMEOUT_SECONDS = 300
_AS_ROOT = ("--net",)
_AS_ANYBODY = ("--user", "--map-root-user", "--net")


def require_reference(staged: Path, owner_keys: Sequence[Path]) -> None:
    """Run in-toto-verify over a staged release; raise VerificationError if it refuses.

    `owner_keys` are PEM public keys of the owners who signed: the reference
    demands a signature by every key it is given.  Raises HostError if it could not
    be started without a network: then it has said nothing about the release.
    """
    # It runs in the staged folder, where a path relative to ours leads elsewhere.
    staged = staged.absolute()
    evidence = staged / "in-toto"
    command: list[str | Path] = [
        sys.executable, "-I", "-c", PROGRAM,
        "--verbose", "--layout", evidence / LAYOUT_FILE,
        "--link-dir", evidence,
        "--verification-keys", *(key.absolute() for key in owner_keys),
    ]  # fmt: skip
    try:
        result = _run_without_network(command, staged)
    finally:
        # It leaves a record of its inspection behind, which is no part of a release.
        (staged / "verify-download.link").unlink(missing_ok=True)
    ran = b"The software product passed all verification." in result.stderr + result.stdout
    if result.returncode != 0 or not ran:
        raise VerificationError(
            "the reference in-toto verifier does not agree",
            got=_last_words(result.stderr),
            hint="nothing was published; run in-toto-verify on the release folder to see all of it",
        )


def _run_without_network(
    command: Sequence[str | Path], cwd: Path
) -> subprocess.CompletedProcess[bytes]:
    unshare = require_program("unshare", "util-linux")
    # Root needs no user namespace, which many containers and kernels forbid.
    ways = [_AS_ROOT, _AS_ANYBODY] if os.geteuid() == 0 else [_AS_ANYBODY]
    said = b""
    for way in ways:
        result = run_program([unshare, *way, *command], cwd=cwd, timeout_seconds=TIMEOUT_SECONDS)
        if result.returncode == 0 or not result.stderr.startswith(b"unshare:"):
            return result
        said = result.stderr
    raise HostError(
        "cannot run the reference in-toto verifier without a network",
        got=_last_words(said),
        hint="nothing was published; allow user namespaces here (`unshare --user --net true`)",
    )


def _last_words(stderr: bytes) -> str:
    return shorten(stderr.decode("utf-8", "replace").strip()[-MAX_SAID:], MAX_SAID)
