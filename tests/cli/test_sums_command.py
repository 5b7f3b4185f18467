"""`verify_sums` as the command calls it: output, exit codes, usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.cli.sums import verify_sums
from relsign.errors import InputError, NotEnoughError
from tests.trust.sums_maker import (
    DEMO,
    OTHER,
    Repository,
    Stranger,
    make_people,
    make_repository,
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    with make_people(tmp_path_factory.mktemp("sums") / "home") as made:
        yield made


@pytest.fixture
def repository(tmp_path: Path, people: Stranger) -> Repository:
    return make_repository(tmp_path / "repository", people)


def _run(
    it: Repository, *files: Path, policy: str = "threshold = 3\n", as_format: str = "table"
) -> int:
    path = it.root / "policy.toml"
    path.write_text(policy)
    return verify_sums(it.sums, it.keys, path, files, as_format)


def _file(it: Repository, name: str, content: str) -> Path:
    path = it.root / name
    path.write_text(content)
    return path


def test_a_tree_that_agrees_exits_0(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(repository) == 0
    out, err = capsys.readouterr()
    assert out.startswith("VERIFIED  ")
    assert not err


@pytest.mark.parametrize(
    ("name", "content", "code", "word"),
    [
        ("demo.tar.gz", "demo.tar.gz", 0, "VERIFIED"),
        ("demo.tar.gz", "changed", 1, "REFUSED"),
        ("other.tar.gz", "demo.tar.gz", 3, "NOT ENOUGH"),
    ],
)
def test_a_file_in_hand_is_compared(
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    code: int,
    word: str,
) -> None:
    assert _run(repository, _file(repository, name, content)) == code
    assert capsys.readouterr().out.startswith(f"{word}  ")


def test_the_worst_of_several_files_decides(repository: Repository) -> None:
    good = _file(repository, "demo.tar.gz", "demo.tar.gz")
    bad = _file(repository, "demo.zip", "changed")
    assert _run(repository, good, bad) == 1


def test_a_file_in_hand_does_not_depend_on_the_other_files(repository: Repository) -> None:
    repository.put("bob", DEMO, release="2.0")
    repository.put("carol", OTHER + b"0" * 64 + b"  new.zip\n")
    assert _run(repository, policy="threshold = 2\n") == 1
    assert _run(repository, _file(repository, "new.zip", "x"), policy="threshold = 2\n") == 1
    chosen = 'threshold = 2\nreleases = ["1.0"]\n'
    assert _run(repository, _file(repository, "demo.zip", "demo.zip"), policy=chosen) == 0


@pytest.mark.parametrize(
    ("spoil", "code"), [("dissent", 1), ("one less", 3), ("altered", 3), ("empty", 3)]
)
def test_a_tree_that_does_not_agree_never_exits_0(
    repository: Repository, spoil: str, code: int
) -> None:
    if spoil == "dissent":
        repository.put("carol", OTHER)
    elif spoil == "one less":
        repository.manifest("carol").unlink()
    elif spoil == "altered":
        repository.manifest("carol").write_bytes(OTHER)
    else:
        for builder in ("alice", "bob", "carol"):
            repository.manifest(builder).unlink()
            repository.manifest(builder).with_name("all.SHA256SUMS.asc").unlink()
    assert _run(repository) == code


def test_json_and_csv_are_data_alone(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(repository, as_format="json") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "relsign/sums-report/1"
    assert _run(repository, as_format="csv") == 0
    assert capsys.readouterr().out.count("\r\n") == 3


@pytest.mark.parametrize(
    ("policy", "as_format"), [("threshold = 0\n", "table"), ("threshold = 1\n", "xml")]
)
def test_a_wrong_policy_or_format_is_usage(
    repository: Repository, policy: str, as_format: str
) -> None:
    with pytest.raises(InputError) as refused:
        _run(repository, policy=policy, as_format=as_format)
    assert refused.value.exit_code == 2


def test_a_missing_folder_or_file_is_not_enough(repository: Repository) -> None:
    with pytest.raises(NotEnoughError):
        _run(repository, repository.root / "absent.zip")
    policy = _file(repository, "p.toml", "threshold = 1\n")
    with pytest.raises(NotEnoughError):
        verify_sums(repository.root / "absent", repository.keys, policy, (), "table")
    with pytest.raises(InputError):
        verify_sums(repository.sums, repository.keys, repository.root / "absent", (), "table")


# --- the command -------------------------------------------------------------------------------


def _command(it: Repository, *words: str) -> int:
    policy = _file(it, "p.toml", "threshold = 3\n")
    named = ["--sha256sums", str(it.sums), "--keys", str(it.keys), "--policy", str(policy)]
    return execute(["verify", *named, *words])


@pytest.mark.parametrize(
    "words",
    [
        ("--root", "root.json"),
        ("--bundle", "."),
        ("--pin", "demo"),
        ("--release", "1.0"),
        ("--level", "basic"),
        ("--rebuilt", "."),
        ("--trust", "."),
        ("--explain",),
        ("--verbose",),
    ],
)
def test_options_that_would_not_be_heeded_are_refused(
    repository: Repository, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert _command(repository, *words) == 2
    out, err = capsys.readouterr()
    assert not out
    assert f"{words[0]} and --sha256sums do not go together" in err


def test_one_form_at_a_time(repository: Repository) -> None:
    assert _command(repository, "--json", "--csv") == 2


def test_quiet_prints_nothing(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert _command(repository, "-q") == 0
    repository.put("carol", OTHER)
    assert _command(repository, "-q") == 1
    out, err = capsys.readouterr()
    assert out == err == ""


def test_the_verdict_names_the_files_it_is_about(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(repository, "demo.tar.gz", "demo.tar.gz")
    assert _command(repository, str(file)) == 0
    assert capsys.readouterr().out.splitlines()[0] == "VERIFIED  demo.tar.gz"
    assert _command(repository) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"VERIFIED  {repository.sums}"
    many = [str(_file(repository, f"{number}\n.zip", "x")) for number in range(7)]
    assert _command(repository, *many) == 3
    title = capsys.readouterr().out.splitlines()[0]
    assert title.startswith("NOT ENOUGH  0\\n.zip, 1\\n.zip, ")
    assert title.endswith(", 4\\n.zip and 2 more")
