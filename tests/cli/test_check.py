"""`relsign check`: words that are refused before anything is built, and how verdicts look."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Literal

import pytest

from relsign.build.explain.causes import CAUSES, Found
from relsign.build.explain.difference import Difference
from relsign.build.twin.knobs import KNOBS
from relsign.build.twin.verdict import Blame, Checked, twin_of
from relsign.cli.checking import check_json, check_lines
from relsign.cli.main import execute
from relsign.formats.names import Digest, Normaliser

EXAMPLE = Path(__file__).parents[2] / "examples" / "leaky"
PAGE = Path(__file__).parents[2] / "docs/how-to/my-build-is-not-reproducible.md"
FOUND = Found(CAUSES["host-name"], ("a.txt > line 1",))
HOST = Blame(
    frozenset({"host-name"}),
    ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"),
    (Difference("a.txt > line 1", "text", "build", "another-machine"),),
    (FOUND,),
)


def checked(
    *blames: Blame,
    verdict: Literal["identical", "normalised", "different"] = "different",
    normalisers: tuple[Normaliser, ...] = (),
) -> Checked:
    names = tuple(sorted({name for blame in blames for name in blame.artifacts}))
    return Checked(
        target="t",
        verdict=verdict,
        varied=("host-name", "umask"),
        not_varied={"engine": "none runs here", "time": "none runs here"},
        looks={f"{letter}.txt": (Digest("0" * 64), "0644") for letter in "abcdef"},
        differing=names,
        builds=2,
        blames=blames,
        normalisers=normalisers,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--knob", "moon-phase"], "no such knob"),
        (["--without", "Time"], "no such knob"),
        (["nothing"], "no such target"),
    ],
)
def test_other_words_are_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLE / "relsign.toml", tmp_path)
    assert execute(["check", *words, "--project", str(tmp_path), "--offline"]) == 2
    assert said in capsys.readouterr().err


def test_a_cause_is_shown_with_place_and_fix() -> None:
    assert list(check_lines((checked(HOST),))) == [
        "DIFFERENT  t  5 of 6 artifacts change",
        "  ✗ host-name  a.txt b.txt c.txt d.txt and 1 more",
        "      place  a.txt > line 1: build | another-machine",
        "      cause  The name of the machine that built is written into a file.",
        "      fix    do not print `hostname`; for Linux kernels KBUILD_BUILD_HOST",
        "  - not varied: engine, time (none runs here)",
    ]


def test_of_one_place_the_difference_is_shown_that_the_knob_makes() -> None:
    both = (Difference("a.tar > x", "mtime", "1", "2"), Difference("a.tar > x", "owner", "3", "4"))
    for knobs, said in (({"user"}, "3 | 4"), ({"time"}, "1 | 2"), ({"locale"}, "1 | 2")):
        lines = list(check_lines((checked(Blame(frozenset(knobs), ("a.tar",), both)),)))
        assert f"      place  a.tar > x: {said}" in lines


def test_other_kinds_of_blame() -> None:
    shown = "\n".join(
        check_lines(
            (
                checked(
                    Blame(frozenset(), ("a.txt",)),
                    Blame(frozenset(), ("a.txt",), unsteady=True),
                    Blame(frozenset({"umask", "user"}), ("a.txt",), is_seen=True),
                    Blame(frozenset({"home"}), (), failed="command failed\x1b[2J"),
                ),
            )
        )
    )
    for words in (
        "✗ chance (nothing varied)  a.txt",
        "cause  none that is known",
        "✗ chance (not in every build)  a.txt",
        "✗ umask + user (seen in the bytes)  a.txt",
        "✗ home\n      the build fails: command failed",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_identical_and_normalised() -> None:
    same, after = (
        checked(verdict="identical"),
        checked(HOST, verdict="normalised", normalisers=("zip-1",)),
    )
    lines = list(check_lines((same, after)))
    assert lines[0] == "IDENTICAL  t  6 artifacts, 2 knobs turned"
    assert "IDENTICAL AFTER zip-1  t  5 of 6 artifacts change" in lines
    assert lines[-1].endswith('ask for `normalise = ["zip-1"]`')
    assert twin_of(after).normalisers == ("zip-1",)


def test_json_and_the_signed_form_agree() -> None:
    failing = Blame(frozenset({"home"}), (), failed="x")
    result = checked(HOST, failing, Blame(frozenset(), ("f.txt",)))
    (shown,) = json.loads(json.dumps(check_json((result,))))["targets"]
    twin = twin_of(result)
    assert twin.causes == ("build-fails", "host-name", "unknown")
    assert shown["causes"] == list(twin.causes)
    assert shown["blames"][0]["places"] == ["a.txt > line 1: build | another-machine"]


def test_the_page_lists_the_knobs_there_are() -> None:
    table = PAGE.read_text("utf-8").split("## The knobs\n")[1].split("\n## ")[0]
    assert set(re.findall(r"(?m)^\| `([a-z-]+)` \|", table)) == {knob.name for knob in KNOBS}


def test_the_page_has_every_field_of_the_json() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE.read_text("utf-8").split("## For scripts\n")[1]))
    shown = json.loads(json.dumps(check_json((checked(HOST),))))
    (target,) = shown["targets"]
    (blame,) = target["blames"]
    (cause,) = blame["causes"]
    assert {*shown, *target, *blame, *cause} - named == set()
