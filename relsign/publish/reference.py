"""A second opinion: the reference in-toto verifier must agree before publication.

It runs in a process of its own, in a network namespace with nothing in it, on the
staged files, and only after our own verifier accepted the layout: the only
inspection command that can be in it is `true`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from relsign.errors import VerificationError
from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.canonical import shorten
from relsign.system.process import require_program, run_program

# The module itself does nothing when it is run with -m, and exits 0 doing so.
PROGRAM = "from in_toto.in_toto_verify import main; main()"


def require_reference(staged: Path, owner_keys: Sequence[Path]) -> None:
    """Run in-toto-verify over a staged release; raise VerificationError if it refuses.

    `owner_keys` are PEM public keys of the owners who signed: the reference
    demands a signature by every key it is given.
    """
    unshare = require_program("unshare", "util-linux")
    evidence = staged / "in-toto"
    command: list[str | Path] = [
        unshare, "--user", "--map-root-user", "--net",
        sys.executable, "-I", "-c", PROGRAM,
        "--verbose", "--layout", evidence / LAYOUT_FILE,
        "--link-dir", evidence,
        "--verification-keys", *owner_keys,
    ]  # fmt: skip
    result = run_program(command, cwd=staged, timeout_seconds=300)
    # It leaves a record of its inspection behind, which is no part of a release.
    (staged / "verify-download.link").unlink(missing_ok=True)
    ran = b"The software product passed all verification." in result.stderr + result.stdout
    if result.returncode != 0 or not ran:
        raise VerificationError(
            "the reference in-toto verifier does not agree",
            got=shorten(result.stderr.decode("utf-8", "replace").strip()[-300:], 300),
            hint="nothing was published; run in-toto-verify on the release folder to see all of it",
        )
