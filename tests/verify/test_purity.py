"""The decision reaches nothing outside its arguments: asked of the interpreter itself."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PURE = ("formats", "crypto", "verify")
ALLOWED = {"compile", "exec", "object.__getattr__", "sys._getframe"}
"""What reading type annotations into a schema raises: nothing outside the process."""

ACTING = """asyncio builtins ctypes fcntl glob http importlib io mmap multiprocessing os pathlib
pickle platform pty random resource secrets select selectors shutil signal socket ssl subprocess
sys tempfile threading time urllib urllib3 _thread"""
BANNED = frozenset(ACTING.split())
HARMLESS = frozenset({"urllib.parse"})
"""Modules of a banned package that only turn words into words."""

SCRIPT = """
import json, sys
from msgspec.structs import replace
from tests.crypto.openpgp_cases import AT, PRIMARY
from tests.crypto.roster_keys import (
    certified, ecdsa_member, openpgp_key, rsa_member, sign_ecdsa, sign_pss
)
from tests.crypto.openpgp_maker import simple
from tests.verify.broken import BROKEN, statement_payload
from tests.verify.broken_release_key import BROKEN_RELEASE_KEY, signed_by
from tests.hostile.pgp_release import pgp_release
from tests.verify.releases import Release, group_root, with_members
from relsign.formats.envelope import INTOTO_PAYLOAD, Signature, pae
from relsign.verify.decision import decide

all_three = ("sam", "sara", "team")
message = pae(INTOTO_PAYLOAD, statement_payload())
made = [Signature(keyid="", sig=sign(message)) for sign in (sign_ecdsa, sign_pss)]
kinds = with_members(ecdsa_member(), rsa_member(), certified(simple(openpgp_key("team"))))
releases = [
    Release(), pgp_release(),
    Release(root=group_root(), signers=all_three),
    Release(root=kinds, change_files=signed_by(("team",), *made)),
    *(row[0] for row in (*BROKEN.values(), *BROKEN_RELEASE_KEY.values())),
]
questions = [release.question() for release in releases]
questions += [replace(questions[0], bundle=data) for data in (None, b"", b"{}", b"\\xff" * 99)]
words = [decide(question).verdict.word.value for question in questions]  # loads what is lazy
events = []
armed = False
def hook(event, arguments):
    if armed:
        events.append(event)
sys.addaudithook(hook)
planted = len(sys.argv) > 1
armed = True
for question in questions:
    decide(question)
if planted:
    open("/dev/null").close()
armed = False
print(json.dumps([words, sorted(set(events))]))
"""


def audited(*words: str) -> tuple[list[str], set[str]]:
    """Return the verdicts on good and bad releases, and the kinds of events they raised."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    verdicts, events = json.loads(done.stdout)
    return verdicts, set(events)


def test_no_decision_opens_connects_starts_or_loads_anything() -> None:
    verdicts, events = audited()
    assert verdicts[:4] == ["VERIFIED"] * 4
    assert set(verdicts) == {"VERIFIED", "REFUSED", "NOT ENOUGH"}
    assert events <= ALLOWED


def test_the_watch_would_see_an_opened_file() -> None:
    assert "open" in audited("planted")[1]


def _modules(folder: str) -> Iterator[Path]:
    yield from sorted((CHECKOUT / "relsign" / folder).rglob("*.py"))


def _imported(source: str) -> set[str]:
    """Return the outermost names of all a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[0] for name in names - HARMLESS}


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_import_nothing_that_acts(package: str) -> None:
    found = {path.name: _imported(path.read_text()) & BANNED for path in _modules(package)}
    assert len(found) > 3
    assert {name: banned for name, banned in found.items() if banned} == {}


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_call_no_builtin_that_acts(package: str) -> None:
    acting = {"open", "exec", "eval", "compile", "__import__", "input", "print", "breakpoint"}
    for path in _modules(package):
        calls = (node.func for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.Call))  # fmt: skip
        named = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not named & acting, path


def test_the_import_linter_watches_the_ways_round() -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in settings["contracts"] if c["id"] == "pure")
    assert contract["type"] == "forbidden"
    assert set(contract["source_modules"]) == {f"relsign.{package}" for package in PURE}
    wanted = {"os", "socket", "subprocess", "pathlib", "time", "ssl", "http", "tempfile"}
    assert wanted <= set(contract["forbidden_modules"])
    assert "ignore_imports" not in contract
    assert settings["include_external_packages"]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os.path as p", {"os"}),
        ("def f():\n from time import time", {"time"}),
        ("import json", {"json"}),
    ],
)
def test_the_reader_of_imports_sees_them(source: str, names: set[str]) -> None:
    assert _imported(source) == names
