"""gpg's status lines and key listings: what a hostile user ID can and cannot do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import HostError
from relsign.formats.gnupg_text import ListedKey, Status, read_file_statuses, read_key_listing

KEY = "A" * 40
SUB = "B" * 40


def _lines(*lines: str) -> bytes:
    return "".join(f"[GNUPG:] {line}\n" for line in lines).encode()


def test_each_file_has_its_lines_in_order() -> None:
    said = read_file_statuses(
        _lines(
            "FILE_START 1 0", "NEWSIG", "BADSIG X me", "FILE_DONE", "FILE_START 1 1", "FILE_DONE"
        )
    )
    assert said == {"0": (Status("NEWSIG", ()), Status("BADSIG", ("X", "me"))), "1": ()}


@pytest.mark.parametrize(
    ("data", "files"),
    [
        (b"", []),
        (_lines("NEWSIG"), []),
        (_lines("FILE_DONE"), []),
        (_lines("FILE_START 1 0", "NEWSIG"), []),
        (_lines("FILE_START 1 0", "FILE_START 1 1", "FILE_DONE"), ["1"]),
        (_lines("FILE_START 1 0", "FILE_DONE", "FILE_DONE"), ["0"]),
        (_lines("FILE_START 1 0", "FILE_DONE", "FILE_START 1 0", "FILE_DONE"), []),
        (_lines("FILE_START 1 a b", "FILE_DONE"), ["a b"]),
        (_lines("FILE_START", "FILE_DONE"), [""]),
        (b" [GNUPG:] FILE_START 1 0\n" + _lines("FILE_DONE"), []),
        (b"x [GNUPG:] FILE_START 1 0\n" + _lines("FILE_DONE"), []),
    ],
)
def test_only_finished_files_are_there(data: bytes, files: list[str]) -> None:
    assert list(read_file_statuses(data)) == files


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\r", "\x1c", "\x85", "\u2028"])
def test_a_user_id_makes_no_line_of_its_own(mark: str) -> None:
    said = read_file_statuses(
        _lines("FILE_START 1 0", f"BADSIG X me{mark}[GNUPG:] GOODSIG X me", "FILE_DONE")
    )
    assert [status.word for status in said["0"]] == ["BADSIG"]


def test_a_listing_gives_keys_and_subkeys() -> None:
    listing = (
        f"tru::1:1:0:3:1:5\npub:e:255:22:X:1:99::-:::sc:\nfpr:::::::::{KEY}:\n"
        f"uid:e::::1::X::me::::\nsub:r:2048:1:Y:1::::::s:\nfpr:::::::::{SUB}:\n"
    )
    assert read_key_listing(listing.encode()) == {
        KEY: ListedKey(KEY, KEY, "e", 255, 22, 99),
        SUB: ListedKey(SUB, KEY, "r", 2048, 1, 0),
    }


@pytest.mark.parametrize(
    "listing",
    ["", f"fpr:::::::::{KEY}:\n", "pub:e:255:22\nfpr:short\n", f"uid:{KEY}\nfpr:::::::::{KEY}:\n"],
)
def test_a_fingerprint_needs_its_key(listing: str) -> None:
    assert read_key_listing(listing.encode()) == {}


@pytest.mark.parametrize("record", ["pub", "pub:u:many:22:X:1::", "sub:u:255:22:X:1:soon:"])
def test_a_listing_in_another_form_is_an_error(record: str) -> None:
    with pytest.raises(HostError, match="form that is not known"):
        read_key_listing(f"{record}\nfpr:::::::::{KEY}:\n".encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_statuses_of_some_files(data: bytes) -> None:
    assert isinstance(read_file_statuses(data), dict)


@given(st.lists(st.sampled_from(["pub:e:1:1:::9", "sub::::", "pub", "fpr:::::::::X", ""])))
def test_any_records_are_keys_or_a_host_error(records: list[str]) -> None:
    try:
        keys = read_key_listing("\n".join(records).encode())
    except HostError:
        return
    assert set(keys) <= {"X"}
