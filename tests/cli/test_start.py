"""What a verification loads: the list is exact, because each module costs every download."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import Project
from tests.verify.releases import NAME

SCRIPT = """
import json, sys
before = set(sys.modules)
from relsign.cli.main import execute
code = execute(sys.argv[1:])
print(json.dumps([code, sorted(set(sys.modules) - before)]))
"""
LIBRARIES = {"_cffi_backend", "_sodium", "msgspec", "nacl"}
HEAVY = {
    "ast", "asyncio", "concurrent", "ctypes", "dataclasses", "email", "filelock", "http",
    "inspect", "logging", "multiprocessing", "random", "secrets", "shutil", "socket", "ssl",
    "subprocess", "tempfile", "threading", "tomllib", "typing_extensions", "xml", "zipfile",
}  # fmt: skip
"""Of the standard library, and what msgspec would load if it were asked plainly."""
OURS = {
    "cli": "fast main places show talk verdict",
    "crypto": "digest keys merkle notes signatures threshold tuf",
    "formats": (
        "bundle canonical checkpoint commitment envelope fingerprint layout link listing log memory"
        " names own_policy pin policy provenance root roster shorten statement tuf twin"
    ),
    "system": "clock files hashing lock",
    "trust": (
        "outside pins pins.folder pins.own_folder pins.own_policy pins.store publication"
        " publication.listing verification"
    ),
    "verify": (
        "agreement builders checks commitments day decision demands diversity fingerprint freshness"
        " history inclusion layout provenance question rebuilt release root rows rules verdict"
        " witnesses"
    ),
}


def _loaded(*words: str | Path) -> set[str]:
    """Return the modules a successful verification loads in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "verify", "-q", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout)
    assert code == 0, done.stderr
    return set(modules)


@pytest.fixture
def loaded(project: Project) -> set[str]:
    assert project.signed().publish() == 0
    return _loaded("--root", project.root_file, project.published / NAME)


def test_a_verification_loads_these_modules_and_no_other(loaded: set[str]) -> None:
    listed = {f"relsign.{part}.{name}" for part, names in OURS.items() for name in names.split()}
    packages = {"relsign", *(f"relsign.{part}" for part in OURS)}
    assert {name for name in loaded if name.partition(".")[0] == "relsign"} == {
        *listed, *packages, "relsign.errors",
    }  # fmt: skip
    outermost = {name.partition(".")[0] for name in loaded}
    assert outermost - sys.stdlib_module_names - {"relsign"} == LIBRARIES
    assert outermost & HEAVY == set()
