"""Where a person's own files lie when no option says otherwise; loaded without click."""

from __future__ import annotations

from pathlib import Path


def trust_folder() -> Path:
    """Return the default trust store: an absolute path, whatever the variables say."""
    from platformdirs import user_data_path

    return user_data_path("relsign", appauthor=False) / "trust"


def own_policy_file() -> Path:
    """Return the default policy: an absolute path, whatever the variables say."""
    from platformdirs import user_config_path

    return user_config_path("relsign", appauthor=False) / "policy.toml"
