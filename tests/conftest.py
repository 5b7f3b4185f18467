"""What every test gets: one hypothesis profile, and people with keys."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.projects import Project, make_keys, make_project

# The same examples on every machine and every run: a red test here is red everywhere.
settings.register_profile("relsign", deadline=None, derandomize=True, database=None)
settings.load_profile("relsign")


def pytest_configure() -> None:
    """Take signals as from a terminal: what runs in the background was told to ignore some.

    Programs that tests start, and end with Ctrl-C, would inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def nobodys_own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the trust store and the policy of whoever runs the tests out of them."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / ".data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a key store with everybody's key."""
    return make_keys(tmp_path_factory.mktemp("people") / "keys")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    """Return a project's folder to be copied: each owner's signature takes a passphrase."""
    folder = tmp_path_factory.mktemp("template")
    return make_project(folder / "project", keys, folder / "site").folder


@pytest.fixture
def project(tmp_path: Path, keys: Path, template: Path) -> Project:
    """Return a project whose root is signed and that nobody has built or signed yet."""
    folder = shutil.copytree(template, tmp_path / "project")
    return Project(folder, keys, tmp_path / "site")
