"""A folder as an exchange: hostile things in it are named, and nothing leaves it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError
from relsign.formats.relay import MAX_MESSAGE_BYTES, MAX_TOPIC_MESSAGES
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.open import open_exchange
from relsign.sign.exchanges.relay import RelayExchange
from tests.relay.people import ANN

TOPIC = "ab" * 32
GOOD = b"a message"


def name_of(message: bytes) -> str:
    return f"{sha256(message).hexdigest()}.msg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "exchange"
    path.mkdir()
    return path


def test_put_and_read_again_and_again(folder: Path) -> None:
    exchange = DirectoryExchange(folder)
    assert exchange.messages(TOPIC).messages == ()
    big = bytes(MAX_MESSAGE_BYTES)
    for message in (GOOD, big, GOOD):
        exchange.put(TOPIC, message)
    got = exchange.messages(TOPIC)
    assert set(got.messages) == {GOOD, big}
    assert got.ignored == ()
    assert sorted(p.name for p in (folder / TOPIC).iterdir()) == sorted(
        [name_of(GOOD), name_of(big)]
    )
    assert (folder / TOPIC / name_of(GOOD)).read_bytes() == GOOD
    assert exchange.messages("cd" * 32).messages == ()


def link(path: Path) -> None:
    outside = path.parent.parent.parent / "outside"
    outside.write_bytes(b"linked")
    path.symlink_to(outside)


def listen(path: Path) -> None:
    # A socket's address is short, so it is made from inside its folder.
    subprocess.run(
        ["python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
         path.name], cwd=path.parent, check=True,
    )  # fmt: skip


LINKED = name_of(b"linked")
HOSTILE: list[tuple[str, Callable[[Path], object], str]] = [
    (LINKED, link, "a link, folder, fifo or device"),
    (LINKED, lambda path: path.symlink_to("/dev/zero"), "a link, folder, fifo or device"),
    (LINKED, lambda path: path.symlink_to(path), "a link, folder, fifo or device"),
    (LINKED, os.mkfifo, "a link, folder, fifo or device"),
    (LINKED, Path.mkdir, "a link, folder, fifo or device"),
    (LINKED, listen, "a link, folder, fifo or device"),
    (LINKED, lambda path: path.write_bytes(b"other"), "not what its name says"),
    (LINKED, lambda path: path.write_bytes(b""), "not what its name says"),
    (LINKED, lambda path: path.write_bytes(bytes(1 << 20)), "larger than 65536 bytes"),
    (name_of(b"x").upper(), lambda path: path.write_bytes(b"x"), "not the name of a message"),
    (name_of(b"x")[:-4], lambda path: path.write_bytes(b"x"), "not the name of a message"),
    ("README", lambda path: path.write_bytes(b"x"), "not the name of a message"),
    ("a\nb\x1b[2J", lambda path: path.write_bytes(b"x"), "not the name of a message"),
    (os.fsdecode(b"\xff\xfe"), lambda path: path.write_bytes(b"x"), "not the name of a message"),
]


@pytest.mark.parametrize(("name", "make", "words"), HOSTILE)
def test_what_is_no_message_is_named_and_ignored(
    folder: Path, name: str, make: Callable[[Path], object], words: str
) -> None:
    exchange = DirectoryExchange(folder)
    exchange.put(TOPIC, GOOD)
    make(folder / TOPIC / name)
    got = exchange.messages(TOPIC)
    assert got.messages == (GOOD,)
    assert len(got.ignored) == 1
    assert words in got.ignored[0]


@pytest.mark.parametrize("name", [".gitkeep", ".DS_Store", f".{name_of(GOOD)}.tmp"])
def test_hidden_files_are_nobodys_business(folder: Path, name: str) -> None:
    exchange = DirectoryExchange(folder)
    exchange.put(TOPIC, GOOD)
    (folder / TOPIC / name).write_bytes(b"x")
    assert exchange.messages(TOPIC).ignored == ()


@pytest.mark.parametrize(
    "make",
    [link, os.mkfifo, lambda path: path.write_bytes(b"cut"), lambda path: path.symlink_to("x")],
)
def test_put_replaces_what_bears_a_message_s_name_and_follows_no_link(
    folder: Path, make: Callable[[Path], object]
) -> None:
    exchange = DirectoryExchange(folder)
    exchange.put(TOPIC, b"first")
    make(folder / TOPIC / name_of(GOOD))
    exchange.put(TOPIC, GOOD)
    assert set(exchange.messages(TOPIC).messages) == {b"first", GOOD}
    assert not (folder / TOPIC / name_of(GOOD)).is_symlink()
    outside = folder.parent / "outside"
    assert not outside.exists() or outside.read_bytes() == b"linked"


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to("../outside"), os.mkfifo, Path.touch]
)
def test_a_topic_that_is_no_folder_is_refused(folder: Path, make: Callable[[Path], object]) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    make(folder / TOPIC)
    exchange = DirectoryExchange(folder)
    with pytest.raises(InputError, match="something else stands where messages belong"):
        exchange.put(TOPIC, GOOD)
    with pytest.raises(InputError, match="something else stands where messages belong"):
        exchange.messages(TOPIC)
    assert list(outside.iterdir()) == []


def test_a_folder_in_the_place_of_a_message_is_named(folder: Path) -> None:
    exchange = DirectoryExchange(folder)
    (folder / TOPIC / name_of(GOOD)).mkdir(parents=True)
    with pytest.raises(InputError, match="something else stands"):
        exchange.put(TOPIC, GOOD)
    assert [path.name for path in (folder / TOPIC).iterdir()] == [name_of(GOOD)]


def test_two_who_write_the_same_at_once_are_both_right(folder: Path) -> None:
    exchange = DirectoryExchange(folder)
    messages = [b"%d" % (n % 20) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda message: exchange.put(TOPIC, message), messages))
    got = exchange.messages(TOPIC)
    assert set(got.messages) == set(messages)
    assert len(got.messages) == 20
    assert got.ignored == ()


def test_a_flood_is_counted_and_not_read(folder: Path) -> None:
    (folder / TOPIC).mkdir()
    for number in range(MAX_TOPIC_MESSAGES + 7):
        message = b"%d" % number
        (folder / TOPIC / name_of(message)).write_bytes(message)
    for number in range(30):
        (folder / TOPIC / f"junk-{number}").touch()
    got = DirectoryExchange(folder).messages(TOPIC)
    assert len(got.messages) == MAX_TOPIC_MESSAGES
    assert len(got.ignored) == 21
    assert "7 messages beyond the first 4096 are not looked at" in got.ignored
    assert got.ignored[-1] == "and 11 more that are no messages"


def test_git_merges_two_people_s_messages(folder: Path, tmp_path: Path) -> None:
    def git(where: Path, *words: str) -> None:
        done = ("git", "-c", "user.name=a", "-c", "user.email=a@a.invalid", *words)
        subprocess.run(done, cwd=where, check=True, capture_output=True)

    git(folder, "init", "-b", "main")
    DirectoryExchange(folder).put(TOPIC, b"common")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "start")
    other = tmp_path / "other"
    git(tmp_path, "clone", str(folder), str(other))
    for where, own in ((folder, b"mine"), (other, b"yours")):
        for message in (own, b"of both"):
            DirectoryExchange(where).put(TOPIC, message)
        git(where, "add", ".")
        git(where, "commit", "-m", "more")
    git(folder, "pull", "--no-rebase", str(other), "main")
    got = DirectoryExchange(folder).messages(TOPIC)
    assert set(got.messages) == {b"common", b"mine", b"yours", b"of both"}


@pytest.mark.parametrize("topic", ["", ".", "..", "../..", "a" * 63, "A" * 64, f"{TOPIC}/", "a/b"])
def test_a_topic_is_no_path(folder: Path, topic: str) -> None:
    with pytest.raises(InputError, match="not a topic"):
        DirectoryExchange(folder).put(topic, GOOD)
    with pytest.raises(InputError, match="not a topic"):
        DirectoryExchange(folder).messages(topic)


@pytest.mark.parametrize("message", [b"", bytes(MAX_MESSAGE_BYTES + 1)])
def test_a_message_has_a_size(folder: Path, message: bytes) -> None:
    with pytest.raises(InputError, match="not a message"):
        DirectoryExchange(folder).put(TOPIC, message)


def test_open_exchange_knows_folders_and_addresses(folder: Path) -> None:
    assert open_exchange(str(folder), ANN) == DirectoryExchange(folder)
    relay = open_exchange("HTTPS://Relay.example:443/", ANN)
    assert isinstance(relay, RelayExchange)
    assert relay.address == "https://relay.example"
    for place, words in (
        (str(folder / "absent"), "no such folder"),
        (str(folder / "absent/deeper"), "no such folder"),
        ("/dev/null", "no such folder"),
        ("ssh://git@host/x", "no such kind of exchange"),
        ("https://", "not the address of a relay"),
        ("http://a/?b", "not the address of a relay"),
    ):
        with pytest.raises(InputError, match=words):
            open_exchange(place, ANN)


def test_a_full_disk_is_an_error_and_leaves_nothing() -> None:
    full = Path("/proc/self")
    with pytest.raises(HostError):
        DirectoryExchange(full).put(TOPIC, GOOD)
