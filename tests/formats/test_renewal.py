from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.renewal import Renewal, parse_renewal

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
RENEWAL = Renewal(
    project="demo",
    group="demo-release",
    certificate=Digest("a" * 64),
    at=AT,
    expires=AT + timedelta(days=730),
)
TEXT = RENEWAL.to_bytes()


def test_a_renewal_comes_back_as_it_was() -> None:
    assert parse_renewal(TEXT) == RENEWAL
    assert TEXT.startswith(b'{"at":"2026-11-21T08:00:00Z","certificate":"aaaa')


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"2028-11-20", b"2026-11-20", "expires is not after at"),
        (b"2028-11-20T08:00:00Z", b"2026-11-21T08:00:00Z", "expires is not after at"),
        (b"T08:00:00Z", b"T08:00:00.5Z", "whole seconds"),
        (b'"demo"', b'".demo"', "letter or digit"),
        (b"aaaa", b"AAAA", "renewal"),
        (b"renewal/1", b"renewal/2", "renewal"),
        (b'{"at"', b'{ "at"', "canonical"),
        (b'"project"', b'"proposer"', "renewal"),
    ],
)
def test_anything_else_is_refused(old: bytes, new: bytes, words: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError, match=words):
        parse_renewal(TEXT.replace(old, new, 1))
