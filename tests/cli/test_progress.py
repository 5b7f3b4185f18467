"""A build's log on the terminal: every line of it, and nothing that steers."""

from __future__ import annotations

import io

import pytest

from relsign.cli.progress import BuildTalk

TEXT = "gr\u00fc\u00df dich, \u4e16\u754c \U0001f600\n"

SHOWN: tuple[tuple[str, tuple[bytes, ...], str], ...] = (
    # what, the log in its chunks, and what is shown
    ("lines and tabs", (b"a\tb\nc\n",), "a\tb\nc\n"),
    ("colour", (b"\x1b[31mred\x1b[0m\n",), "\\x1b[31mred\\x1b[0m\n"),
    ("an escape cut in two", (b"\x1b", b"]0;title\x07\n"), "\\x1b]0;title\\x07\n"),
    ("another line over this", (b"all good\rno\n",), "all good\\rno\n"),
    ("backspace and delete", (b"a\x08\x7f\n",), "a\\x08\\x7f\n"),
    ("form feed and vertical tab", (b"\x0c\x0b\n",), "\\x0c\\x0b\n"),
    ("null", (b"\x00\n",), "\\x00\n"),
    ("C1 as UTF-8", ("\u009b2J\u0090q\u0085\n".encode(),), "\\x9b2J\\x90q\\x85\n"),
    ("C1 cut in two", (b"\xc2", b"\x9b2J\n"), "\\x9b2J\n"),
    ("C1 as bytes", (b"\x9b2J\x90\n",), "\ufffd2J\ufffd\n"),
    ("right to left", ("exe.\u202etxt\u202c \u2066\u2069\u200f\n".encode(),),
     "exe.\\u202etxt\\u202c \\u2066\\u2069\\u200f\n"),
    ("line ends of Unicode", ("a\u2028b\u2029\n".encode(),), "a\\u2028b\\u2029\n"),
    ("what cannot be seen", ("\u200b\ufeff\U000e0041\n".encode(),),
     "\\u200b\\ufeff\\U000e0041\n"),
    ("no UTF-8", (b"\xff\xfe\xc0\xaf\xed\xa0\x80\n",), "\ufffd" * 7 + "\n"),
    ("cut and never ended", (b"\xe4\xb8", b"a\n"), "\ufffda\n"),
    ("byte by byte", tuple(bytes([byte]) for byte in TEXT.encode()), TEXT),
)  # fmt: skip


@pytest.mark.parametrize(
    ("chunks", "shown"), [row[1:] for row in SHOWN], ids=[row[0] for row in SHOWN]
)
def test_a_log_cannot_steer_the_terminal(
    chunks: tuple[bytes, ...], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = io.BytesIO()
    listener = BuildTalk("t", kept, show_log=True).listener()
    for chunk in chunks:
        listener.on_log(chunk)
    assert capsys.readouterr().err == shown
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    # What is kept is what the build wrote.
    assert kept.getvalue() == b"".join(chunks)


def test_a_log_is_kept_and_not_shown_without_being_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = io.BytesIO()
    BuildTalk("t", kept, show_log=False).listener().on_log(b"a\n")
    assert (kept.getvalue(), capsys.readouterr().err) == (b"a\n", "")
