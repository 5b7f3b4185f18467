"""What every test gets: one hypothesis profile, and one worker for the engine."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples on every machine and every run: a red test here is red everywhere.
settings.register_profile("relsign", deadline=None, derandomize=True, database=None)
settings.load_profile("relsign")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send all tests that need the engine to one worker: they share what it has built."""
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.xdist_group("engine"))
