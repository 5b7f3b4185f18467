"""Where a person's own files lie when no option says otherwise; loaded without click.

The XDG base directories: a variable counts if it is absolute, else HOME does.  Where
neither is, or on another system, platformdirs finds the place; it takes as long to load
as a third of a verification.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def trust_folder() -> Path:
    """Return the default trust store: an absolute path, whatever the variables say."""
    base = _base("XDG_DATA_HOME", ".local/share")
    if base is None:
        from platformdirs import user_data_path

        return user_data_path("relsign", appauthor=False) / "trust"
    return base / "relsign" / "trust"


def own_policy_file() -> Path:
    """Return the default policy: an absolute path, whatever the variables say."""
    base = _base("XDG_CONFIG_HOME", ".config")
    if base is None:
        from platformdirs import user_config_path

        return user_config_path("relsign", appauthor=False) / "policy.toml"
    return base / "relsign" / "policy.toml"


def _base(variable: str, below_home: str) -> Path | None:
    if sys.platform != "linux":
        return None
    chosen, home = os.environ.get(variable, ""), os.environ.get("HOME", "")
    if chosen.startswith("/"):
        return Path(chosen)
    return Path(home, below_home) if home.startswith("/") else None
