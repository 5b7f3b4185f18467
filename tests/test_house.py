"""The house around the code: what stands in the tree, and what may not."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parent.parent
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Taken apart, so that this file does not hold what it forbids.
FORBIDDEN = {
    "Python index": "py" + "pi.org",
    "Python index, files": "python" + "hosted",
    "Debian mirror": "deb." + "debian",
    "Debian mirror by protocol": "ftp." + "debian",
    "Debian security mirror": "security." + "debian.org",
    "Debian snapshots": "snapshot." + "debian",
    "npm": "registry." + "npmjs",
    "container hub": "registry-1." + "docker",
    "container registry of a forge": "ghcr" + ".io",
    "another container registry": "quay" + ".io",
    "crates": "crates" + ".io",
    "Go modules": "proxy." + "golang",
}


def _run(*command: str | Path, width: int = 80) -> str:
    environment = {**os.environ, "COLUMNS": str(width), "NO_COLOR": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=TOP, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@cache
def _tree() -> tuple[Path, ...]:
    """List every file that is, or is about to be, in the repository."""
    names = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = (TOP / name for name in names.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def _python_files(*folders: str) -> list[Path]:
    return [
        path
        for path in _tree()
        if path.suffix == ".py" and path.relative_to(TOP).parts[0] in folders
    ]


@cache
def _pyproject() -> str:
    return (TOP / "pyproject.toml").read_text()


def _locked_blocks() -> dict[str, str]:
    """Return the lock's entries by project name; each starts at the left margin."""
    text = (TOP / "requirements.lock").read_text()
    blocks = re.split(r"(?m)^(?=\S)", text)
    return {block.partition("==")[0]: block for block in blocks if "==" in block}


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_registry_host_and_no_private_path_stands_in_the_tree(what: str) -> None:
    word = FORBIDDEN[what].encode()
    assert [str(path) for path in _tree() if word in path.read_bytes().lower()] == []


# --- dependencies ------------------------------------------------------------------------------


def _wanted(group: str) -> list[str]:
    table = tomllib.loads(_pyproject())
    lines = table["project"]["dependencies"] if group == "runtime" else table["dependency-groups"]
    entries: list[str] = lines if isinstance(lines, list) else lines[group]
    return [re.split(r"[^A-Za-z0-9._-]", entry)[0] for entry in entries]


@pytest.mark.parametrize("group", ["runtime", "dev"])
def test_every_dependency_is_explained(group: str) -> None:
    explained = re.findall(r"(?m)^\| `([^`]+)` \|", (TOP / "docs/dependencies.md").read_text())
    assert [name for name in _wanted(group) if name not in explained] == []


@pytest.mark.parametrize("group", ["runtime", "dev"])
def test_every_dependency_is_locked(group: str) -> None:
    assert [name for name in _wanted(group) if name.lower() not in _locked_blocks()] == []


def test_every_locked_package_has_a_version_and_hashes_and_no_address() -> None:
    for name, block in _locked_blocks().items():
        assert re.match(r"[a-z0-9.-]+==[0-9][0-9a-z.]* ;.*\\\n", block), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), name
        assert "//" not in block, name


def test_the_lock_builds_with_the_version_the_build_system_names() -> None:
    (required,) = tomllib.loads(_pyproject())["build-system"]["requires"]
    name, _, version = required.partition("==")
    assert _locked_blocks()[name].startswith(f"{name}=={version} ")


def test_every_system_program_is_explained() -> None:
    listed = re.findall(r"(?m)^    ([a-z-]+):([a-z.-]+)$", (TOP / "tools/setup").read_text())
    explained = (TOP / "docs/dependencies.md").read_text()
    assert listed
    assert [pair for pair in listed if f"| `{pair[1]}` |" not in explained] == []


# --- folders -----------------------------------------------------------------------------------


def _packages() -> set[str]:
    parts = (path.relative_to(TOP / "relsign").parts for path in _python_files("relsign"))
    return {names[0] for names in parts if len(names) > 1}


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in _python_files("relsign")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_design_lists_the_folders_there_are() -> None:
    text = (TOP / "docs/design.md").read_text()
    assert set(re.findall(r"`relsign/([a-z]+)/`", text)) == _packages()


# --- import direction --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import pathlib",
        "import socket",
        "import subprocess",
        "import time",
        "from os.path import join",
        "from pathlib import Path",
        "from time import monotonic",
        "datetime.datetime.now(tz=datetime.UTC)",
    ],
)
@pytest.mark.parametrize("package", ["formats", "crypto", "verify", "crypto/frost"])
def test_ruff_refuses_input_and_output_in_pure_packages(package: str, line: str) -> None:
    assert "TID251" in _codes(line, f"relsign/{package}/x.py")


@pytest.mark.parametrize(("line", "code"), [("open('x')", "PTH123"), ("print(1)", "T201")])
def test_ruff_refuses_the_built_in_functions_everywhere(line: str, code: str) -> None:
    # The ban by name cannot see built-in functions; these two rules do, in every package.
    assert code in _codes(line, "relsign/formats/x.py")


@pytest.mark.parametrize("package", ["system", "build", "cli"])
def test_ruff_allows_input_and_output_elsewhere(package: str) -> None:
    assert "TID251" not in _codes("import os", f"relsign/{package}/x.py")


def _codes(line: str, name: str) -> set[str]:
    """Return the codes of the rules that ruff, configured as here, raises on one line."""
    source = f"import datetime\n{line}\n"
    done = subprocess.run(
        [
            _bin("ruff"),
            "check",
            "--no-cache",
            "--output-format=concise",
            f"--stdin-filename={name}",
        ],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        cwd=TOP,
    )
    assert done.returncode in {0, 1}, done.stderr
    return set(re.findall(r"(?m)^\S+: ([A-Z]+[0-9]+) ", done.stdout))


def _bin(name: str) -> Path:
    return Path(sys.executable).parent / name


# --- size and docstrings -----------------------------------------------------------------------


class Found(NamedTuple):
    """One function and where it stands."""

    place: str
    lines: list[str]
    node: Function


def _functions(*folders: str) -> Iterator[Found]:
    for path in _python_files(*folders):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                place = f"{path.relative_to(TOP)}:{node.lineno} {node.name}"
                yield Found(place, text.splitlines(), node)


def _code_lines(found: Found) -> int:
    """Count the lines of a body, without its docstring, blank lines and comments."""
    body = found.node.body
    if ast.get_docstring(found.node, clean=False) is not None:
        body = body[1:]
    if not body:
        return 0
    lines = found.lines[body[0].lineno - 1 : body[-1].end_lineno]
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


def test_no_file_is_too_long() -> None:
    counts = {
        str(path.relative_to(TOP)): len(path.read_text().splitlines())
        for path in _python_files("relsign", "tests", "examples", "tools")
    }
    assert {name: count for name, count in counts.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    counts = {
        found.place: _code_lines(found)
        for found in _functions("relsign", "tests", "examples", "tools")
    }
    assert {place: count for place, count in counts.items() if count > MAX_FUNCTION_LINES} == {}


def test_every_parser_and_verifier_says_what_it_raises() -> None:
    silent = [
        found.place
        for found in _functions("relsign")
        if found.node.name.startswith(("parse_", "verify_"))
        and "raise" not in (ast.get_docstring(found.node) or "").lower()
    ]
    assert silent == []


# --- README ------------------------------------------------------------------------------------

HELP = re.compile(
    r"<!-- help: (?P<command>relsign[a-z -]*) -->\n```(?:text)?\n(?P<text>.*?)```\n<!-- /help -->",
    re.DOTALL,
)


def _help_pages() -> dict[str, str]:
    """Walk the program's commands; return what `--help` prints for each, 80 columns wide."""
    pages = {}
    waiting = ["relsign"]
    while waiting:
        command = waiting.pop()
        words = command.split()[1:]
        pages[command] = _run(_bin("relsign"), *words, "--help")
        _, _, listed = pages[command].partition("\nCommands:\n")
        waiting += [f"{command} {name}" for name in re.findall(r"(?m)^  ([a-z-]+)\b", listed)]
    return pages


def test_the_readme_shows_the_help_of_every_command_as_it_is() -> None:
    shown = {
        match["command"]: match["text"] for match in HELP.finditer((TOP / "README.md").read_text())
    }
    assert shown == _help_pages()
