"""A machine that only ever meets paper: its person makes a key and signs with the others."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.formats.paper import unpack
from relsign.sign.keys.vault import Vault
from tests.groups import GROUP, PEOPLE, part_keys
from tests.projects import Project, make_keys, make_project

NET = ("sam", "sara")
NEW = ("ceremony", "new", GROUP, "--threshold", "2", "--member", "sam", "--member", "sara",
       "--member", "sven")  # fmt: skip


@dataclass
class Desk:
    """One copy of the project, and the key stores of who works at it."""

    project: Project
    homes: dict[str, Path]
    place: tuple[str, ...]
    """Words that name its exchange."""

    def run(self, name: str, *words: str) -> None:
        own = Project(self.project.folder, self.homes[name], self.project.site)
        assert own.run_signing(*words, "--as", name) == 0

    def join(self, *names: str) -> None:
        for name in names:
            self.run(name, "ceremony", "join", GROUP, "--yes", *self.place)

    @property
    def folder(self) -> Path:
        return self.project.workspace.group_folder(GROUP)


@dataclass
class Paper:
    """Sheets that are printed at one desk and typed in at another."""

    sheet: Path
    capsys: pytest.CaptureFixture[str]

    def print_at(self, desk: Desk, *words: str) -> str:
        self.capsys.readouterr()
        assert desk.project.run("ceremony", "export", GROUP, *words) == 0
        return self.capsys.readouterr().out

    def read_at(self, desk: Desk, text: str, *words: str) -> str:
        # Mail breaks lines and puts marks before them.
        self.sheet.write_text(textwrap.indent(textwrap.fill(text, 60), "> ") + "\n-- \nbye")
        assert desk.project.run("ceremony", "import", str(self.sheet), *words) == 0
        return self.capsys.readouterr().err


def copy_project(start: Project, folder: Path) -> Project:
    """Return somebody else's copy, with what git would bring."""
    shutil.copytree(start.folder, folder)
    return Project(folder, start.keys, start.site)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project in which nobody has a group's key yet."""
    folder = tmp_path_factory.mktemp("paper")
    keys = make_keys(folder / "keys")
    make_project(folder / "project", keys, folder / "site")
    part_keys(keys, folder)
    return folder


@pytest.fixture
def desks(begun: Path, tmp_path: Path) -> tuple[Desk, Desk]:
    """Return the desk of sam and sara, and that of sven, who has no network."""
    folder = tmp_path / "w"
    shutil.copytree(begun, folder, copy_function=shutil.copy2)
    project = Project(folder / "project", folder / "keys", folder / "site")
    homes = {name: folder / f"home-{name}" for name in PEOPLE}
    box = tmp_path / "box"
    box.mkdir()
    air = copy_project(project, tmp_path / "air")
    return Desk(project, homes, ()), Desk(air, homes, ("--exchange", str(box)))


def test_a_key_and_a_release_by_way_of_paper(
    desks: tuple[Desk, Desk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, air = desks
    paper = Paper(tmp_path / "sheet.txt", capsys)
    net.run("sam", *NEW)
    for _round in range(6):
        net.join(*NET)
        paper.read_at(air, paper.print_at(net), *air.place)
        air.join("sven")
        paper.read_at(net, paper.print_at(air, "--by", "sven", *air.place))
    for name in ("group.json", "certificate.pgp"):
        assert (air.folder / name).read_bytes() == (net.folder / name).read_bytes()
    assert [n.split("-")[0] for n in Vault(air.homes["sven"] / "sven" / "vault").names()] == [
        "revocation", "share"]  # fmt: skip
    # What carries builds and roots, as ever, is the project's own folder.
    assert net.project.run("root", "add", str(net.folder / "member.toml")) == 0
    net.project.new_root()
    for name in ("policies", "keys/roster.toml"):
        copy(net.project.folder / name, air.project.folder / name)
    build(net.project)
    sign_by_paper(net, air, paper)
    assert net.project.publish() == 0
    assert net.project.verify(net.project.published / "demo-1.0.tar.gz") == 0
    assert "and the release key" in capsys.readouterr().out


def build(project: Project) -> None:
    for builder in ("builder-a", "builder-b"):
        project.build(builder)
    for owner in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", owner) == 0


def sign_by_paper(net: Desk, air: Desk, paper: Paper) -> None:
    """Let sam and sven sign: the folder goes by stick, what the group says by paper."""
    net.run("sam", "sign", "--yes")
    assert air.project.run("collect", str(net.project.folder)) == 0
    for _round in range(2):
        said = paper.read_at(air, paper.print_at(net, "--release"))
        assert f"{GROUP} signs demo 1.0: " in said
        air.run("sven", "sign", "--yes")
        paper.read_at(net, paper.print_at(air, "--release", "--by", "sven"))
        net.run("sam", "sign", "--yes")
    assert net.project.run("collect", str(air.project.folder)) == 0


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def test_importing_again_changes_nothing(
    desks: tuple[Desk, Desk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, air = desks
    paper = Paper(tmp_path / "sheet.txt", capsys)
    net.run("sam", *NEW)
    net.join(*NET)
    text = paper.print_at(net)
    assert text == paper.print_at(net)
    assert f"ceremony of {GROUP}: 3 messages, 3 of them new" in paper.read_at(air, text)
    assert (air.folder / "charter.json").read_bytes() == (
        net.folder / "charter.json"
    ).read_bytes()  # fmt: skip
    before = tree(air.project.folder)
    assert f"ceremony of {GROUP}: 3 messages, 0 of them new" in paper.read_at(air, text)
    assert tree(air.project.folder) == before
    # Nobody has joined by that.
    assert not (air.homes["sven"] / "sven" / "vault").exists()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_part_of_the_messages(
    desks: tuple[Desk, Desk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, _air = desks
    paper = Paper(tmp_path / "sheet.txt", capsys)
    net.run("sam", *NEW)
    net.join(*NET)
    counts = [
        sum(len(said) for said in unpack(paper.print_at(net, *words)).parcel.values())
        for words in ((), ("--by", "sam"), ("--by", "sara"), ("--by", "sam", "--by", "sara"))
    ]
    assert counts == [3, 2, 1, 3]
    assert net.project.run("ceremony", "export", GROUP, "--by", "sven") == 2
    assert "nothing to pack" in capsys.readouterr().err


def test_pictures_and_codes(
    desks: tuple[Desk, Desk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, _air = desks
    paper = Paper(tmp_path / "sheet.txt", capsys)
    net.run("sam", *NEW)
    parts = len(paper.print_at(net).splitlines())
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        named = paper.print_at(net, f"--{kind}", str(tmp_path / kind)).splitlines()
        assert len(named) == parts == len(list((tmp_path / kind).iterdir()))
        assert all(Path(name).read_bytes().startswith(start) for name in named)
    drawn = paper.print_at(net, "--qr")
    assert set(drawn) <= set(" \u2580\u2584\u2588\n")


def test_from_standard_input(
    desks: tuple[Desk, Desk],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, air = desks
    net.run("sam", *NEW)
    text = Paper(tmp_path / "sheet.txt", capsys).print_at(net).encode()
    for words in ((), ("-",)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
        assert air.project.run("ceremony", "import", *words) == 0
    assert "1 messages, 0 of them new" in capsys.readouterr().err


Change = Callable[[Desk, str], str]


def first_part(_air: Desk, text: str) -> str:
    return text.splitlines()[0]


def other_keys(air: Desk, text: str) -> str:
    air.project.remove_member("sara")
    return text


def other_charter(air: Desk, text: str) -> str:
    air.run("sven", *NEW)
    return text


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda _air, _text: "hello", 2, "no part of a parcel in this text"),
        (lambda _air, _text: "\x89PNG\x00\ufffd", 2, "no part of a parcel in this text"),
        (lambda _air, text: text.replace("A", "B"), 2, "no part of a parcel"),
        (first_part, 3, "missing: 2"),
        (other_keys, 2, "no member of that name"),
        (other_charter, 2, "another ceremony of this group is under way"),
    ],
    ids=["no part", "no text", "mistakes", "a part is missing", "strangers", "another ceremony"],
)
def test_what_cannot_be_imported(
    desks: tuple[Desk, Desk],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Change,
    code: int,
    said: str,
) -> None:
    net, air = desks
    net.run("sam", *NEW)
    net.join(*NET)
    text = change(air, Paper(tmp_path / "sheet.txt", capsys).print_at(net))
    sheet = tmp_path / "sheet.txt"
    sheet.write_text(text)
    charter = air.folder / "charter.json"
    before = charter.read_bytes() if charter.exists() else None
    capsys.readouterr()
    assert air.project.run("ceremony", "import", str(sheet)) == code
    assert said in capsys.readouterr().err
    assert (charter.read_bytes() if charter.exists() else None) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((GROUP,), "no such file"),
        ((GROUP, "--release"), "no release key of that name"),
        ((GROUP, "--qr", "--png", "x"), "take one"),
        ((GROUP, "--exchange", "/nowhere"), "no such folder"),
        ((GROUP, "--exchange", "http://127.0.0.1:1"), "a relay asks who you are"),
    ],
)
def test_what_cannot_be_exported(
    desks: tuple[Desk, Desk],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert desks[0].project.run("ceremony", "export", *words) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_a_courier_needs_no_project(
    desks: tuple[Desk, Desk], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, air = desks
    paper = Paper(tmp_path / "sheet.txt", capsys)
    net.run("sam", *NEW)
    (tmp_path / "empty").mkdir()
    courier = Desk(Project(tmp_path / "empty", tmp_path, tmp_path), {}, ())
    said = paper.read_at(courier, paper.print_at(net), *air.place)
    assert "1 messages, 1 of them new" in said
    assert list((tmp_path / "empty").iterdir()) == []
