"""The message of a release's tag: it comes back, and nothing else is one."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.tag_message import TagMessage, parse_tag_message

MESSAGE = TagMessage("demo", "1.0~rc1", Digest("a" * 64), Digest("b" * 64))


def test_a_message_comes_back() -> None:
    assert parse_tag_message(MESSAGE.text(), "t") == MESSAGE
    assert MESSAGE.text().splitlines()[:2] == ["demo 1.0~rc1", ""]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("demo 1.0", "demo  1.0"),
        ("demo", "de mo"),
        ("\n\n", "\n"),
        ("statement sha256 ", "statement "),
        ("a" * 64, "A" * 64),
        ("b" * 64, "b" * 63),
        ("SHA256SUMS sha256 " + "b" * 64, ""),
        ("b" * 64, "b" * 64 + "\n"),
        ("b" * 64, "b" * 64 + "\nSHA256SUMS sha256 " + "c" * 64),
    ],
)
def test_another_message_is_none(old: str, new: str) -> None:
    text = MESSAGE.text()
    assert old in text
    with pytest.raises(InputError, match="not the message of a release's tag"):
        parse_tag_message(text.replace(old, new), "t")
