"""Releases laid out as a download, and the lines of `--explain` run in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from relsign.formats.root import Root
from relsign.trust.explain import Places, Step, explain
from relsign.verify.decision import Decision, decide
from tests.verify.releases import ARTIFACT, NAME, NOW, Release, make_root

BUNDLE = "demo-1.0.relsign"
FAR = datetime(2999, 1, 1, tzinfo=UTC)


def lasting(version: int = 1, **changes: object) -> Root:
    """Return a root that no clock of these tests outlives."""
    return make_root(version=version, expires=FAR, **changes)


def release(root: Root, **changes: object) -> Release:
    """Return a release whose layout lasts as long."""
    made = Release(root=root, change_layout=lambda it: msgspec.structs.replace(it, expires=FAR))
    return replace(made, **changes)  # type: ignore[arg-type]


def lay(folder: Path, it: Release, **files: bytes) -> tuple[Decision, tuple[Step, ...]]:
    """Write a release as a download with more `files` in its bundle; decide and explain."""
    more = {name.replace("_", ".").strip("."): data for name, data in files.items()}
    whole = replace(it, change_files=lambda known: it.change_files(known) | more)
    question = whole.question()
    (folder / NAME).write_bytes(ARTIFACT)
    assert isinstance(question.bundle, bytes)
    (folder / BUNDLE).write_bytes(question.bundle)
    (folder / "root.json").write_bytes(question.root)
    places = Places(NAME, BUNDLE, "root.json", "by-hand")
    decision = decide(question)
    return decision, explain(decision, question.root, NAME, places, NOW)


def run(folder: Path, steps: tuple[Step, ...]) -> dict[int, list[str]]:
    """Run every line of every step in a shell; return those that failed, by step."""
    failed: dict[int, list[str]] = {}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for step in steps:
        for command in step.commands:
            done = subprocess.run(
                ["sh", "-c", command], cwd=folder, capture_output=True, text=True,
                check=False, timeout=60, env={**os.environ, "PATH": path},
            )  # fmt: skip
            if done.returncode != 0:
                failed.setdefault(step.number, []).append(f"{command}\n{done.stderr}")
    return failed
