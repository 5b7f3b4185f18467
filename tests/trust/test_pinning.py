"""Pinning: the root comes from anywhere, and only its words or digest make it trusted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relsign.crypto.words import digest_words
from relsign.errors import (
    HostError,
    InputError,
    NotEnoughError,
    RelsignError,
    VerificationError,
)
from relsign.trust.pins.pinning import (
    Offer,
    Standing,
    compare,
    pins_root,
    read_offer,
    resembling,
    root_address,
    standing_of,
)
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.trust.roots import NOON, PEOPLE, fork_root, pinned, root, seen, signed_root

DATA = signed_root(root())
OFFER = Offer(open_root(DATA), None)
DIGEST = OFFER.trusted.digest


def offer(data: bytes) -> Offer:
    return Offer(open_root(data), None)


class Handler(BaseHTTPRequestHandler):
    """Hands out a root, and everything a bad server might instead."""

    def do_GET(self) -> None:
        place = self.path.strip("/").replace("/root.json", "")
        bodies = {"demo": DATA, "big": b"x" * 512_001, "page": b"<html>", "fork": fork_root()}
        if place in bodies:
            self._send(200, bodies[place])
        elif place in {"loop", "moved", "away"}:
            target = {"loop": "/loop", "moved": "/demo/root.json", "away": "file:///etc/passwd"}
            self._send(302, b"", target[place])
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, target: str = "") -> None:
        self.send_response(status)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving() as address:
        yield address


# --- where a root comes from -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/demo", "/demo/", "/demo/root.json", "/demo/root.json#x"])
def test_a_root_comes_from_a_publication(site: str, path: str) -> None:
    got = read_offer(site + path, NOON)
    assert (got.trusted.digest, got.project) == (DIGEST, "demo")
    assert got.url == f"{site}/demo/"
    assert got.words == digest_words(DIGEST)


def test_a_redirect_is_followed_and_what_was_typed_is_kept(site: str) -> None:
    assert read_offer(f"{site}/moved", NOON).url == f"{site}/moved/"


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/none", HostError, "status 404"),
        ("/big", HostError, "too large"),
        ("/loop", HostError, "too many redirects"),
        ("/away", RelsignError, "http"),
        ("/page", InputError, "not valid JSON"),
    ],
)
def test_what_a_server_does_wrong_has_a_word(
    site: str, path: str, error: type[RelsignError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        read_offer(site + path, NOON)
    assert isinstance(caught.value, InputError) or caught.value.hint


@pytest.mark.parametrize(
    ("url", "address", "folder"),
    [
        ("https://a.example", "https://a.example/root.json", "https://a.example/"),
        ("HTTPS://a.example/x", "https://a.example/x/root.json", "https://a.example/x/"),
        ("https://a.example/x//", "https://a.example/x/root.json", "https://a.example/x/"),
        ("https://a.example/x/r.json", "https://a.example/x/r.json", "https://a.example/x/"),
        ("https://a.example/x?k=1", "https://a.example/x/root.json?k=1", "https://a.example/x/"),
        ("https://a.example/r.json?k=1", "https://a.example/r.json?k=1", "https://a.example/"),
    ],
)
def test_an_address_is_a_roots_or_a_folders(url: str, address: str, folder: str) -> None:
    assert root_address(url) == (address, folder)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@a.example/",
        "https://a.example\\@evil.example/",
        "https://[::1/x",
        "https://",
        "https:///x",
        "https://a.ex\u0430mple/",
        "https://a.example/ x",
        "https://a.example/" + "x" * 2000,
    ],
)
def test_odd_addresses_are_refused_before_anything_is_fetched(url: str) -> None:
    with pytest.raises(InputError) as caught:
        read_offer(url, NOON)
    assert "secret" not in str(caught.value)


def test_a_root_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    path.write_bytes(DATA)
    assert read_offer(str(path), NOON).url is None
    assert read_offer(str(tmp_path), NOON).trusted.digest == DIGEST
    with pytest.raises(InputError, match="no such file"):
        read_offer(str(tmp_path / "none"), NOON)
    with pytest.raises(InputError, match="no file and no address"):
        read_offer("", NOON)
    with pytest.raises(InputError, match="no such file"):
        read_offer("ftp://a.example/root.json", NOON)
    with pytest.raises(InputError, match="not a regular file"):
        read_offer("/dev/zero", NOON)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (signed_root(root(), ["olga"]), NotEnoughError, "signed by 1 of"),
        (signed_root(root(), []), NotEnoughError, "signed by 0 of"),
        (signed_root(root(days=-1)), VerificationError, "expired"),
        (DATA + b"\n", InputError, "canonical"),
        (b"", InputError, "not valid JSON"),
        (b"[" * 100_000, InputError, "not valid JSON"),
        (b" " * 512_001, InputError, "too large"),
    ],
)
def test_a_root_that_does_not_hold_is_not_offered(
    tmp_path: Path, data: bytes, error: type[RelsignError], words: str
) -> None:
    (tmp_path / "root.json").write_bytes(data)
    with pytest.raises(error, match=words):
        read_offer(str(tmp_path / "root.json"), NOON)


# --- words -------------------------------------------------------------------------------------

WORDS = digest_words(DIGEST)


def test_the_right_words_and_digest_are_right() -> None:
    assert compare(OFFER, WORDS, None)
    assert compare(OFFER, WORDS.replace("·", " ").upper(), None)
    assert compare(OFFER, None, DIGEST)
    assert compare(OFFER, None, f" {DIGEST.upper()}\n")
    assert compare(OFFER, WORDS, DIGEST)
    assert not compare(OFFER, None, None)


def one_wrong(place: int, word: str) -> str:
    words = WORDS.replace(" · ", " ").split()
    words[place] = word if words[place] != word else "zoo"
    return " ".join(words)


@pytest.mark.parametrize(
    "words",
    [
        *(one_wrong(place, "abandon") for place in range(12)),
        " ".join(reversed(WORDS.replace(" · ", " ").split())),
        digest_words(open_root(fork_root()).digest),
    ],
)
def test_one_wrong_word_is_a_refusal(words: str) -> None:
    with pytest.raises(VerificationError) as caught:
        compare(OFFER, words, None)
    assert caught.value.hint
    with pytest.raises(VerificationError):
        compare(OFFER, words, DIGEST)


@pytest.mark.parametrize(
    "words",
    [
        one_wrong(3, "notaword"),
        WORDS.rsplit(" ", 1)[0],
        f"{WORDS} zoo",
        "",
        "x" * 1000,
    ],
)
def test_what_are_no_twelve_words_is_to_be_typed_again(words: str) -> None:
    for digest in (None, DIGEST):
        with pytest.raises(InputError) as caught:
            compare(OFFER, words, digest)
        assert caught.value.hint


def test_what_the_person_has_is_expected_and_what_the_source_holds_is_got() -> None:
    other = open_root(fork_root()).digest
    for words, digest, expected, got in (
        (digest_words(other), None, digest_words(other), WORDS),
        (None, other.upper(), other, DIGEST),
    ):
        with pytest.raises(VerificationError) as caught:
            compare(OFFER, words, digest)
        assert (caught.value.expected, caught.value.got) == (expected, got)


@pytest.mark.parametrize(
    "digest",
    ["", DIGEST[:32], DIGEST[:63] + "g", f"0x{DIGEST}", "\u0661" * 64],
)
def test_what_is_no_digest_is_to_be_copied_again(digest: str) -> None:
    for words in (None, WORDS):
        with pytest.raises(InputError, match="not a digest") as caught:
            compare(OFFER, words, digest)
        assert str(caught.value).isascii()
        assert caught.value.hint


@pytest.mark.parametrize("digest", [DIGEST[::-1], "0" * 64])
def test_a_digest_is_compared_whole(digest: str) -> None:
    for words in (None, WORDS):
        with pytest.raises(VerificationError, match="not the digest of this root"):
            compare(OFFER, words, digest)


# --- beside what is pinned ---------------------------------------------------------------------


def test_a_root_and_what_is_pinned(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trust")
    assert standing_of(store, "demo", OFFER) is Standing.NEW
    pinned(store.folder, seen(1))
    assert standing_of(store, "demo", OFFER) is Standing.SAME
    assert standing_of(store, "other", OFFER) is Standing.NEW
    second = signed_root(root(2))
    assert standing_of(store, "demo", offer(second)) is Standing.FOLLOWS
    store.accept_root("demo", second)
    assert standing_of(store, "demo", offer(second)) is Standing.SAME
    assert standing_of(store, "demo", OFFER) is Standing.SAME
    (store.folder / "demo" / "roots" / "1.root.json").unlink()
    assert standing_of(store, "demo", OFFER) is Standing.GONE
    with pytest.raises(InputError, match="the pinned root is missing"):
        standing_of(store, "demo", offer(second))
    (store.folder / "demo" / "pin.json").write_bytes(b"junk")
    assert standing_of(store, "demo", OFFER) is Standing.LOST
    (store.folder / "demo" / "pin.json").unlink()
    assert standing_of(store, "demo", OFFER) is Standing.LOST


def test_another_signature_makes_no_other_root(tmp_path: Path) -> None:
    signed = root(people=(*PEOPLE, ("ossi", "acme", "owner")))
    store = TrustStore(tmp_path / "trust")
    store.create("demo", open_root(signed_root(signed)), None, NOON)
    more = offer(signed_root(signed, ("oona", "olga", "ossi")))
    assert more.trusted.data != signed_root(signed)
    assert standing_of(store, "demo", more) is Standing.SAME
    assert store.accept_root("demo", more.trusted.data).root.version == 1


@pytest.mark.parametrize(
    "data",
    [
        fork_root(1),
        fork_root(2),
        signed_root(root(days=91)),
        signed_root(root(1, "Demo")),
        signed_root(root(2, "Demo")),
        signed_root(root(7, "other")),
    ],
)
def test_a_root_of_others_is_refused_under_a_name_that_is_taken(
    tmp_path: Path, data: bytes
) -> None:
    store = pinned(tmp_path / "trust")
    with pytest.raises(VerificationError, match="another root is pinned") as caught:
        standing_of(store, "demo", offer(data))
    assert "--name" in caught.value.hint
    assert digest_words(DIGEST) in caught.value.expected


def test_a_version_too_far_ahead_is_to_be_refreshed(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust")
    with pytest.raises(InputError, match="does not follow directly") as caught:
        standing_of(store, "demo", offer(signed_root(root(3))))
    assert "trust refresh demo" in caught.value.hint


def test_a_newer_root_only_stands_with_the_old_owners(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust")
    with pytest.raises(VerificationError, match="signed by 0 of the owners of version 1"):
        standing_of(store, "demo", offer(fork_root(2)))
    later = root(2, days=400)
    assert standing_of(store, "demo", offer(signed_root(later))) is Standing.FOLLOWS
    assert later.expires > NOON + timedelta(days=399)


@pytest.mark.parametrize("project", ["demo", "Demo", "DEMO", "dem0"])
def test_look_alikes_are_pointed_out(tmp_path: Path, project: str) -> None:
    store = pinned(tmp_path / "trust")
    (store.folder / "broken").mkdir(mode=0o700)
    (store.folder / "broken" / "pin.json").write_bytes(b"junk")
    assert [pin.name for pin in resembling(store, "fork", project)] == ["demo"]
    assert resembling(store, "demo", project) == ()


@pytest.mark.parametrize("project", ["demos", "dem", "gzip"])
def test_other_names_are_not(tmp_path: Path, project: str) -> None:
    assert resembling(pinned(tmp_path / "trust"), "x", project) == ()


def test_the_same_root_under_another_name_is_known_for_the_same(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust")
    pin = store.recall("demo").pin
    for number in (2, 3):
        store.accept_root("demo", signed_root(root(number)))
    for number in (1, 2, 3):
        assert pins_root(store, pin, offer(signed_root(root(number))))
    assert not pins_root(store, pin, offer(fork_root()))
    (store.folder / "demo" / "roots" / "1.root.json").unlink()
    assert not pins_root(store, pin, offer(signed_root(root(2))))
