"""`relsign trust`: what a person sees and answers; on a real terminal where it asks."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relsign.crypto.tuf import derive_root
from relsign.crypto.words import digest_words
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.build.served import served
from tests.trust.roots import FORK, root, seen, signed_root

PROGRAM = Path(sys.executable).parent / "relsign"
EXPIRES = datetime(2036, 1, 1, tzinfo=UTC)


def lasting(version: int = 1, project: str = "demo") -> bytes:
    """Return a root that is valid whenever the test runs."""
    return signed_root(derive_root(root(project=project).policy, version, EXPIRES))


DATA = lasting()
FORKED = signed_root(derive_root(root(people=FORK).policy, 1, EXPIRES), ("mallory", "mike"))
DIGEST = open_root(DATA).digest
WORDS = digest_words(DIGEST)


class Person:
    """Somebody with a store, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = TrustStore(folder / "trust")
        self.put("root.json", DATA)

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of `relsign trust` with nobody at the terminal."""
        return subprocess.run(
            [PROGRAM, "trust", *arguments, "--trust", self.store.folder],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def answer(self, word: str, *arguments: str | Path) -> tuple[int, str]:
        """Run a command on a terminal, type a word, and return exit code and screen."""
        master, slave = pty.openpty()
        os.write(master, f"{word}\n".encode())
        command = [PROGRAM, "trust", *arguments, "--trust", self.store.folder]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        os.close(slave)
        os.close(master)
        return done.returncode, done.stdout

    def pin(self) -> None:
        done = self.run("add", "root.json", "--digest", DIGEST)
        assert (done.returncode, done.stdout) == (0, "demo\n"), done.stderr


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


# --- add ---------------------------------------------------------------------------------------


def test_yes_pins_what_was_shown(person: Person) -> None:
    code, screen = person.answer("y", "add", "root.json")
    assert code == 0
    for words in (
        "project    demo",
        "version    1, expires 2036-01-01",
        "owners     2 of 2: olga (acme), oona (birch)",
        "signers    1 of 1: sam (acme)",
        "builders   1 of 1: machine (birch)",
        WORDS,
        "over another channel? [y/N]",
        "pinned demo, version 1",
    ):
        assert words in screen
    assert person.store.recall("demo").pin.root_sha256 == DIGEST


@pytest.mark.parametrize("word", ["", "n", "no"])
def test_anything_but_yes_pins_nothing(person: Person, word: str) -> None:
    code, screen = person.answer(word, "add", "root.json")
    assert code == 1
    assert "not pinned" in screen
    assert person.store.names() == ()


@pytest.mark.parametrize("options", [[], ["--no-input"]])
def test_with_nobody_to_ask_words_are_needed(person: Person, options: list[str]) -> None:
    done = person.run("add", "root.json", *options)
    assert done.returncode == 2
    assert "--words" in done.stderr
    assert person.store.names() == ()


def test_no_input_never_asks(person: Person) -> None:
    assert person.answer("y", "add", "root.json", "--no-input")[0] == 2
    assert person.store.names() == ()


@pytest.mark.parametrize(
    "options",
    [["--words", WORDS], ["--digest", DIGEST], ["--words", WORDS, "--digest", DIGEST]],
)
def test_words_or_digest_answer_the_question(person: Person, options: list[str]) -> None:
    done = person.run("add", "root.json", "--no-input", *options)
    assert (done.returncode, done.stdout) == (0, "demo\n")
    assert person.store.names() == ("demo",)


WRONG = WORDS.replace(WORDS.split()[2], "zoo", 1)


@pytest.mark.parametrize(
    "options",
    [
        ["--words", WRONG],
        ["--words", digest_words(open_root(FORKED).digest)],
        ["--digest", "0" * 64],
        ["--words", WORDS, "--digest", "0" * 64],
        ["--words", WRONG, "--digest", DIGEST],
    ],
)
def test_one_wrong_word_is_a_refusal(person: Person, options: list[str]) -> None:
    done = person.run("add", "root.json", *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert "hint:" in done.stderr
    assert person.store.names() == ()


@pytest.mark.parametrize(
    "options", [["--digest", DIGEST[:32]], ["--words", "one two"], ["--words", f"{WORDS} zoo"]]
)
def test_what_was_typed_wrongly_is_usage(person: Person, options: list[str]) -> None:
    assert person.run("add", "root.json", *options).returncode == 2
    assert person.store.names() == ()


def test_a_published_folder_is_pinned_like_its_root(person: Person) -> None:
    done = person.run("add", ".", "--digest", DIGEST)
    assert (done.returncode, done.stdout) == (0, "demo\n")


def test_a_pinned_root_whose_file_is_gone_is_put_back(person: Person) -> None:
    person.pin()
    (person.store.folder / "demo" / "roots" / "1.root.json").unlink()
    for command in ("show", "refresh"):
        lost = person.run(command, "demo")
        assert (lost.returncode, "relsign trust add" in lost.stderr) == (2, True)
    done = person.run("add", "root.json", "--digest", DIGEST)
    assert (done.returncode, "it is back" in done.stderr) == (0, True)
    assert person.run("show", "demo").returncode == 0


def test_the_same_root_under_a_second_name_is_no_look_alike(person: Person) -> None:
    person.pin()
    done = person.run("add", "root.json", "--name", "twin", "--digest", DIGEST)
    assert done.returncode == 0
    assert "careful" not in done.stderr
    assert "demo is this very root" in done.stderr
    assert "Next: relsign verify --pin twin FILE" in done.stderr


def test_there_is_no_yes(person: Person) -> None:
    assert person.run("add", "root.json", "--yes").returncode == 2


def test_from_a_publication(person: Person) -> None:
    (person.folder / "site" / "demo").mkdir(parents=True)
    person.put("site/demo/root.json", DATA)
    with served(person.folder / "site") as address:
        done = person.run("add", f"{address}/demo", "--digest", DIGEST)
        assert done.returncode == 0, done.stderr
        assert person.store.recall("demo").pin.url == f"{address}/demo/"
        missing = person.run("add", f"{address}/none", "--digest", DIGEST)
        assert (missing.returncode, "status 404" in missing.stderr) == (5, True)
        endless = person.run("add", f"{address}/endless.json", "--digest", DIGEST)
        assert (endless.returncode, "too large" in endless.stderr) == (5, True)


def test_pinning_again_is_nothing_to_do(person: Person) -> None:
    person.pin()
    done = person.run("add", "root.json", "--no-input")
    assert done.returncode == 0
    assert "already" in done.stderr


def test_a_newer_version_comes_through_its_chain(person: Person) -> None:
    person.pin()
    person.put("2.json", lasting(2))
    person.put("3.json", lasting(3))
    early = person.run("add", "3.json", "--no-input")
    assert (early.returncode, "relsign trust refresh demo" in early.stderr) == (2, True)
    done = person.run("add", "2.json", "--no-input")
    assert (done.returncode, "the owners of the version before" in done.stderr) == (0, True)
    assert len(person.store.recall("demo").roots) == 2


@pytest.mark.parametrize("options", [["--no-input"], ["--digest", open_root(FORKED).digest]])
def test_a_fork_under_the_name_of_upstream_is_refused(person: Person, options: list[str]) -> None:
    person.pin()
    person.put("fork.json", FORKED)
    done = person.run("add", "fork.json", *options)
    assert done.returncode == 1
    assert "another root is pinned under that name" in done.stderr
    assert WORDS in done.stderr
    assert person.store.recall("demo").pin.root_sha256 == DIGEST


def test_a_fork_under_its_own_name_is_pointed_out(person: Person) -> None:
    person.pin()
    person.put("fork.json", FORKED)
    digest = open_root(FORKED).digest
    done = person.run("add", "fork.json", "--name", "fork", "--digest", digest)
    assert done.returncode == 0
    assert "careful    demo is pinned too, for the project demo" in done.stderr
    assert person.store.find("demo") == ("demo", "fork")


def test_a_look_alike_in_other_case_is_refused(person: Person) -> None:
    person.pin()
    data = lasting(project="Demo")
    person.put("Demo.json", data)
    done = person.run("add", "Demo.json", "--digest", open_root(data).digest)
    assert done.returncode == 2
    assert "but for case" in done.stderr
    assert "careful    demo is pinned too" in done.stderr
    assert person.store.names() == ("demo",)


def test_a_damaged_pin_is_pinned_again_and_said(person: Person) -> None:
    person.pin()
    person.store.remember("demo", seen(1))
    (person.store.folder / "demo" / "pin.json").write_bytes(b"junk")
    silent = person.run("add", "root.json", "--no-input")
    assert silent.returncode == 2
    done = person.run("add", "root.json", "--words", WORDS)
    assert done.returncode == 0
    assert "lost or damaged" in done.stderr
    assert "1 of the releases you had seen are remembered" in done.stderr
    assert person.store.recall("demo").seen == (seen(1),)


def test_an_expired_root_is_refused(person: Person) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    data = signed_root(derive_root(root().policy, 1, past))
    person.put("old.json", data)
    done = person.run("add", "old.json", "--digest", open_root(data).digest)
    assert (done.returncode, "expired" in done.stderr) == (1, True)


# --- list, show, remove ------------------------------------------------------------------------


def test_a_list_of_what_is_pinned(person: Person) -> None:
    assert "nothing is pinned" in person.run("list").stderr
    person.pin()
    person.store.remember("demo", seen(1))
    done = person.run("list")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    for words in ("demo ", "version 1", " ".join(WORDS.split()[:4]), "expires 2036-01-01", "1.1"):
        assert words in line
    listed = json.loads(person.run("list", "--json").stdout)
    assert listed["schema"] == "relsign/trust-list/1"
    (pin,) = listed["pins"]
    assert pin == {
        "name": "demo",
        "project": "demo",
        "version": 1,
        "root_sha256": DIGEST,
        "words": WORDS,
        "expires": "2036-01-01T00:00:00Z",
        "newest": "1.1",
        "url": None,
    }


def test_a_damaged_pin_does_not_hide_the_others(person: Person) -> None:
    person.pin()
    (person.store.folder / "broken").mkdir(mode=0o700)
    done = person.run("list")
    assert done.returncode == 2
    assert done.stdout.startswith("demo ")
    assert "error: broken:" in done.stderr


def test_who_must_agree_is_shown(person: Person) -> None:
    person.pin()
    person.store.accept_root("demo", lasting(2))
    person.store.remember("demo", seen(1))
    done = person.run("show", "demo")
    assert done.returncode == 0
    newer = open_root(lasting(2)).digest
    for words in ("olga (acme)", digest_words(newer), newer, f"version 1: {WORDS}", "1.1"):
        assert words in done.stdout
    assert person.run("show", "gzip").returncode == 4
    shown = json.loads(person.run("show", "demo", "--json").stdout)
    assert (shown["schema"], shown["version"], shown["root_sha256"]) == (
        "relsign/trust-show/1",
        2,
        newer,
    )
    assert (shown["pinned"]["version"], shown["pinned"]["words"]) == (1, WORDS)
    owners = shown["roles"][0]
    assert (owners["role"], owners["threshold"], len(owners["members"])) == ("owner", 2, 2)
    assert [one["version"] for one in shown["seen"]] == ["1.1"]


def test_a_restored_copy_is_told_in_one_line(person: Person) -> None:
    person.pin()
    (person.store.folder / "demo" / "memory.json").unlink()
    done = person.run("show", "demo")
    assert done.stderr == "demo: memory.json was missing; restored from the other copy\n"
    assert person.run("show", "demo").stderr == ""


def test_removing_asks(person: Person) -> None:
    person.pin()
    assert person.run("remove", "demo").returncode == 2
    assert person.answer("n", "remove", "demo")[0] == 1
    assert person.store.names() == ("demo",)
    assert person.answer("y", "remove", "demo")[0] == 0
    assert person.run("remove", "demo", "--yes").returncode == 4
    person.pin()
    assert person.run("remove", "demo", "--yes").returncode == 0
    assert person.store.names() == ()


# --- refresh -----------------------------------------------------------------------------------


def test_a_newer_root_is_fetched_and_one_failure_hides_no_success(person: Person) -> None:
    site = person.folder / "site"
    (site / "demo").mkdir(parents=True)
    person.put("site/demo/root.json", DATA)
    person.put("other.json", lasting(project="another"))
    with served(site) as address:
        person.run("add", f"{address}/demo", "--digest", DIGEST)
        digest = open_root(lasting(project="another")).digest
        person.run("add", "other.json", "--digest", digest)
        person.put("site/demo/root.json", lasting(2))
        done = person.run("refresh")
        assert (done.returncode, done.stdout.split()[:4]) == (0, ["demo", "root", "version", "2"])
        assert "note: another was pinned from a file" in done.stderr
        done = person.run("refresh", "another", "demo")
        assert (done.returncode, done.stdout.split()[0]) == (2, "demo")
        assert "error: another: no address is known" in done.stderr
        listed = json.loads(person.run("refresh", "demo", "--json").stdout)
        assert listed["schema"] == "relsign/trust-refresh/1"
        assert listed["pins"] == [
            {"name": "demo", "root_version": 2, "listed": False, "newest": None}
        ]
        assert person.run("refresh", "another", "demo", "--from", address).returncode == 2
        assert person.run("refresh", "demo", "--from", site / "demo").returncode == 0
        person.put("site/demo/root.json", FORKED)
        person.run("refresh", "demo")
    assert person.store.recall("demo").roots == (DATA, lasting(2))


def test_with_nothing_pinned_a_refresh_says_so(person: Person) -> None:
    done = person.run("refresh")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is pinned" in done.stderr


def test_nobody_listens_in_words_for_people(person: Person) -> None:
    done = person.run("add", "http://127.0.0.1:1/demo/", "--digest", DIGEST)
    assert done.returncode == 5
    assert "HTTPConnection" not in done.stderr
    assert "refused" in done.stderr


# --- what lies around --------------------------------------------------------------------------


def test_a_store_planted_in_the_current_folder_is_not_looked_at(person: Person) -> None:
    person.pin()
    home = person.folder / "home"
    home.mkdir()
    for planted in ("relsign/trust", ".local/share/relsign/trust", ".relsign/trust"):
        (person.folder / planted).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(person.store.folder, person.folder / planted)
    variables = {"HOME": os.fspath(home), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    done = subprocess.run(
        [PROGRAM, "trust", "list"],
        cwd=person.folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is pinned" in done.stderr


def test_a_store_others_can_write_is_refused(person: Person) -> None:
    person.pin()
    person.store.folder.chmod(0o777)
    done = person.run("list")
    assert done.returncode == 2
    assert "others can write" in done.stderr
    assert "chmod go-w" in done.stderr
