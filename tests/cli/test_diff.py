"""`relsign diff` as a person runs it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from relsign.cli.main import execute
from tests.build.explain import plants


@pytest.fixture
def tars(tmp_path: Path) -> tuple[str, str]:
    def change(info: tarfile.TarInfo) -> None:
        info.mtime += 99

    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    plants.tar_of(folders[0], lambda _info: None)
    return str(folders[0] / "out.tar"), str(plants.tar_of(folders[1], change))


def test_cause_place_and_fix(tars: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["diff", *tars, "--no-diffoscope"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "DIFFERENT: tar-time",
        "  tar-time: Members of a tar file carry the times at which the build made them.",
        "    at:  out.tar > a.txt",
        "    at:  out.tar > b.txt",
        "    at:  out.tar > c/d.txt",
        "    fix: tar --mtime=@$SOURCE_DATE_EPOCH --clamp-mtime --format=ustar",
        "differences:",
        "  out.tar > a.txt (mtime)",
        "    - 1700000000",
        "    + 1700000099",
        "  out.tar > b.txt (mtime)",
        "    - 1700000000",
        "    + 1700000099",
        "  out.tar > c/d.txt (mtime)",
        "    - 1700000000",
        "    + 1700000099",
    ]


def test_the_same(tars: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["diff", tars[0], tars[0]]) == 0
    assert capsys.readouterr().out == "SAME BYTES\n"


def test_json(tars: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["diff", *tars, "--json", "--no-diffoscope"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "relsign/diff/1"
    assert (document["subject"], document["same"]) == ("files", False)
    assert [each["name"] for each in document["causes"]] == ["tar-time"]
    assert document["differences"][0] == {
        "place": "out.tar > a.txt",
        "kind": "mtime",
        "what": "tar.mtime",
        "one": "1700000000",
        "two": "1700000099",
    }
    assert document["diffoscope"] is None


def test_an_unknown_cause_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("one", "red"), ("two", "blue")):
        (tmp_path / name).write_text(text)
    assert execute(["diff", str(tmp_path / "one"), str(tmp_path / "two"), "--no-diffoscope"]) == 1
    assert capsys.readouterr().out.startswith("DIFFERENT: no known cause\n")


def test_diffoscope_and_its_page(tars: tuple[str, str], tmp_path: Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    page = tmp_path / "page.html"
    assert execute(["diff", *tars, "--html", str(page)]) == 1
    out = capsys.readouterr().out
    assert "\ndiffoscope:\n  file" in out
    assert "page.html" in out.splitlines()[-1]
    assert b"<html" in page.read_bytes()


def test_diffoscope_in_json(tars: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["diff", *tars, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["diffoscope"]
    assert said["problem"] == ""
    assert said["report"]["diffoscope-json-version"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["diff"],
        ["diff", "{one}"],
        ["diff", "{one}", "{folder}"],
        ["diff", "{one}", "{folder}/nothing"],
        ["diff", "{one}", "{two}", "--html", "x.html", "--no-diffoscope"],
    ],
)
def test_bad_input(
    words: list[str], tars: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"one": tars[0], "two": tars[1], "folder": str(tmp_path)}
    assert execute([word.format_map(values) for word in words]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err


def test_many_differences_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in (0, 1):
        folder = tmp_path / str(side)
        for number in range(60):
            (folder / f"{number}").mkdir(parents=True)
            (folder / f"{number}" / "x").write_text(f"red {side} fox")
    assert execute(["diff", str(tmp_path / "0"), str(tmp_path / "1"), "--no-diffoscope"]) == 1
    assert "  … 20 more" in capsys.readouterr().out.splitlines()
