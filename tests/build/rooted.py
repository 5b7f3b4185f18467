"""A tar unpacked as the environment's own is: by tar itself, at a root."""

from __future__ import annotations

import subprocess
from pathlib import Path


def unpack(data: bytes, root: Path) -> None:
    """Unpack a tar below a new folder, with the rights it states."""
    root.mkdir()
    words: list[str | Path] = ["tar", "--extract", "--no-same-owner", "--same-permissions"]
    words += ["--directory", root]
    subprocess.run(words, input=data, check=True)
