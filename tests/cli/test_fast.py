"""The quick way through the command line says and does exactly what click's way does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from relsign import __version__
from relsign.cli import fast
from relsign.cli.commands import SUMMARIES, Commands, main, run_command
from relsign.cli.main import COMMANDS, execute, guarded
from relsign.cli.options import EXISTING, PATH
from relsign.cli.places import own_policy_file, trust_folder
from relsign.cli.verdict import Asked
from relsign.cli.verify import verify
from tests.projects import Project
from tests.verify.releases import NAME


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def download(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go where a person has downloaded a release and its root."""
    assert project.signed().publish() == 0
    monkeypatch.chdir(project.published)
    Path("root.json").write_bytes(project.root_file.read_bytes())
    Path("other").write_bytes(b"other")
    Path("folder").mkdir()
    Path("policy.toml").write_text("")
    Path("trust").mkdir(mode=0o700)
    return project.published


ROOT = ("--root", "root.json")
PLAIN: dict[str, tuple[str, ...]] = {
    "root first": (*ROOT, NAME),
    "root last": (NAME, *ROOT),
    "quiet": ("-q", *ROOT, NAME),
    "quiet, long": ("--quiet", *ROOT, NAME),
    "verbose": ("-v", *ROOT, NAME),
    "verbose, long": (*ROOT, NAME, "--verbose"),
    "json": (*ROOT, "--json", NAME),
    "all flags": (*ROOT, "--json", "-v", "-q", NAME, "-q"),
    "explain": (*ROOT, "--explain", NAME),
    "bundle": (*ROOT, "--bundle", "demo-1.0.relsign", NAME),
    "another bundle": (*ROOT, "--bundle", "other", NAME),
    "option twice": ("--root", "other", *ROOT, NAME),
    "another file": (*ROOT, "other"),
    "a folder": (*ROOT, "folder"),
    "two files": (*ROOT, NAME, "other"),
    "one file twice": (*ROOT, NAME, NAME),
    "no root": (NAME,),
    "absent root": ("--root", "absent", NAME),
    "root in a folder that is none": ("--root", "other/root.json", NAME),
    "empty store": ("--trust", "trust", NAME),
    "absent store": ("--trust", "absent", NAME),
    "pin": ("--trust", "trust", "--pin", "demo", NAME),
    "bad pin": ("--trust", "trust", "--pin", "../demo", NAME),
    "release": (*ROOT, "--release", "1.0", NAME),
    "another release": (*ROOT, "--release", "2.0", NAME),
    "own policy": (*ROOT, "--policy", "policy.toml", NAME),
    "absent policy": (*ROOT, "--policy", "absent", NAME),
    "rebuilt": (*ROOT, "--rebuilt", "folder", NAME),
}
UNUSUAL: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "help": ("--help",),
    "help, short": ("-h",),
    "help later": (*ROOT, NAME, "--help"),
    "no file": ROOT,
    "absent file": (*ROOT, "absent"),
    "empty file name": (*ROOT, ""),
    "dash": (*ROOT, "-"),
    "two dashes": (*ROOT, "--", NAME),
    "equals sign": ("--root=root.json", NAME),
    "flags in one": (*ROOT, "-vv", NAME),
    "flag with a value": (*ROOT, "--quiet=1", NAME),
    "abbreviation": (*ROOT, "--verb", NAME),
    "unknown option": (*ROOT, "--frobnicate", NAME),
    "unknown option with a value": (*ROOT, NAME, "--frobnicate", "other"),
    "unknown short option": (*ROOT, "-x", NAME),
    "value missing": (NAME, "--root"),
    "value that looks like an option": ("--root", "-q", NAME),
    "empty value": ("--root", "", NAME),
    "empty pin": ("--pin", "", NAME),
    "absent bundle": (*ROOT, "--bundle", "absent", NAME),
    "absent rebuild": (*ROOT, "--rebuilt", "absent", NAME),
    "level": (*ROOT, "--level", "basic", NAME),
    "bad level": (*ROOT, "--level", "extreme", NAME),
    "version": ("--version",),
    "csv": ("--csv", NAME),
    "keys": ("--keys", "folder", NAME),
}


_CHANCE = re.compile(r"relsign-by-hand\.[0-9a-f]{16}")
"""A folder whose name nobody can guess, another one in each run."""


def _said(code: int, capsys: pytest.CaptureFixture[str]) -> Said:
    out, err = capsys.readouterr()
    return Said(code, _CHANCE.sub("relsign-by-hand", out), err)


@pytest.mark.usefixtures("download")
def test_plain_calls_say_the_same_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    codes = set()
    for case, words in PLAIN.items():
        assert fast.read_plainly(list(words)) is not None, case
        quick = _said(execute(["verify", *words]), capsys)
        slow = _said(guarded(run_command, ["verify", *words]), capsys)
        assert quick == slow, case
        codes.add(quick.code)
    assert codes >= {0, 1, 2, 4}


@pytest.mark.usefixtures("download")
def test_whatever_is_unusual_is_left_to_click(capsys: pytest.CaptureFixture[str]) -> None:
    for case, words in UNUSUAL.items():
        assert fast.read_plainly(list(words)) is None, case
        quick = _said(execute(["verify", *words]), capsys)
        assert quick == _said(guarded(run_command, ["verify", *words]), capsys), case
        assert quick.out or quick.err, case


@pytest.mark.parametrize(
    "words", [["--version"], ["--version", "verify"], ["-h"], [], ["verif"], ["", "x"]]
)
def test_other_calls_say_the_same_both_ways(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    quick = _said(execute(list(words)), capsys)
    assert quick == _said(guarded(run_command, list(words)), capsys)
    assert quick.out or quick.err


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"relsign {__version__}\n"


# --- the tables are click's --------------------------------------------------------------------


def _options() -> dict[str, click.Option]:
    return {
        spelling: option
        for option in verify.params
        if isinstance(option, click.Option)
        for spelling in (*option.opts, *option.secondary_opts)
    }


@pytest.mark.parametrize("spelling", fast.FLAGS)
def test_flags_fill_the_field_they_fill_in_click(spelling: str) -> None:
    option = _options()[spelling]
    assert (option.name, option.is_flag, option.multiple) == (fast.FLAGS[spelling], True, False)


@pytest.mark.parametrize(
    ("table", "kind"),
    [(fast.WORDS, click.STRING), (fast.PATHS, PATH), (fast.EXISTING, EXISTING)],
)
def test_values_are_of_the_kind_they_are_in_click(
    table: dict[str, str], kind: click.ParamType[object]
) -> None:
    for spelling, field in table.items():
        option = _options()[spelling]
        assert (option.name, option.nargs, option.multiple) == (field, 1, False)
        assert option.type is kind
        assert option.envvar is None


def test_what_is_not_given_is_the_same_both_ways() -> None:
    asked = Asked(files=(), trust=trust_folder())
    given = verify.make_context("verify", [__file__]).params
    fields = [option.name for option in _options().values() if hasattr(asked, option.name or "")]
    assert {name: given[name] for name in fields if name} == {
        name: getattr(asked, name) for name in fields if name
    }
    assert set(fields) > {*fast.FLAGS.values(), *fast.WORDS.values(), *fast.PATHS.values()}


# --- places ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {"HOME": "/home/sam"},
        {"HOME": "/home/sam", "XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/config"},
        {"HOME": "/home/sam", "XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config"},
        {"HOME": "/home/sam", "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": " "},
        {"HOME": "/home/sam/", "XDG_DATA_HOME": "/data/", "XDG_CONFIG_HOME": "//config"},
        {"HOME": "/"},
        {"HOME": "sam"},
        {"HOME": ""},
        {},
    ],
)
def test_places_are_those_platformdirs_finds(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs  # noqa: PLC0415 - what the quick way does without

    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    data = platformdirs.user_data_path("relsign", appauthor=False)
    config = platformdirs.user_config_path("relsign", appauthor=False)
    assert (trust_folder(), own_policy_file()) == (data / "trust", config / "policy.toml")


# --- help --------------------------------------------------------------------------------------


def test_the_summaries_are_the_commands_own() -> None:
    assert isinstance(main, Commands)
    context = click.Context(main)
    own = {}
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        own[name] = command.get_short_help_str(limit=80)
    assert own == SUMMARIES


def test_help_loads_no_command() -> None:
    script = (
        "import sys\n"
        "from relsign.cli.main import execute\n"
        "assert execute(['--help']) == 0\n"
        "print(*[n for n in sys.modules if n.startswith('relsign')], 'msgspec' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split() == [
        "relsign", "relsign.cli", "relsign.cli.talk", "relsign.errors", "relsign.cli.main",
        "relsign.cli.fast", "relsign.cli.commands", "False",
    ]  # fmt: skip
