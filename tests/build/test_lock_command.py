"""`relsign lock`: one builder or all, written or only compared, in words or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relsign.cli.main import execute
from tests.build.registry import Made, layer_tar, make_image, static

ONE, TWO = layer_tar({"etc/one": b"1"}), layer_tar({"etc/two": b"2"})
MADE, OTHER = make_image([ONE]), make_image([ONE, TWO])


def define(folder: Path, name: str, made: Made, more: str = "") -> Path:
    builder = folder / "builders" / name
    builder.mkdir(parents=True, exist_ok=True)
    image = f"team/small@sha256:{made.digest}"
    text = f'name = "{name}"\nbase = "oci"\nimage = "{image}"\n{more}'
    (builder / "builder.toml").write_text(text)
    return builder / "builder.lock"


def run(folder: Path, *words: str) -> int:
    store = str(folder / "store")
    return execute(["lock", *words, "--project", str(folder), "--store", store])


def test_all_builders_are_locked_and_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = [define(tmp_path, name, MADE) for name in ("one", "two")]
    with static(MADE) as address:
        assert run(tmp_path, "--registry", address) == 0
        assert "1 layers" in capsys.readouterr().err
        assert run(tmp_path, "--registry", address, "--json") == 0
    captured = capsys.readouterr()
    assert "unchanged" in captured.err
    rows = json.loads(captured.out)["builders"]
    assert [(row["builder"], row["written"]) for row in rows] == [("one", False), ("two", False)]
    assert all(lock.exists() for lock in locks)


def test_check_says_what_moved_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = define(tmp_path, "one", MADE)
    with static(MADE) as address:
        assert run(tmp_path, "one", "--registry", address) == 0
        before = lock.read_bytes()
        capsys.readouterr()
        assert run(tmp_path, "--check", "--registry", address) == 0
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "one: nothing moved\n")
    define(tmp_path, "one", OTHER)
    with static(OTHER) as address:
        assert run(tmp_path, "one", "--check", "--registry", address) == 1
        shown = capsys.readouterr()
        assert run(tmp_path, "one", "--check", "--json", "--registry", address) == 1
        rows = json.loads(capsys.readouterr().out)["builders"]
    assert "one: file builder.toml changed: " in shown.out
    assert "one: image layer 1 added: " in shown.out
    assert "one: image manifest changed: " in shown.out
    assert "one: lock rootfs changed: " in shown.out
    assert "relsign lock one" in shown.err
    assert rows[0]["builder"] == "one"
    assert {row["name"] for row in rows[0]["moved"]} >= {"builder.toml", "layer 1", "rootfs"}
    assert lock.read_bytes() == before


def test_a_project_without_builders_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 2
    assert "no builder is defined here" in capsys.readouterr().err


def test_an_image_needs_a_registry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    define(tmp_path, "one", MADE)
    assert run(tmp_path, "one") == 2
    assert "--registry" in capsys.readouterr().err
