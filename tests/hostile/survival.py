"""What any bytes may do to a parser: give a value, or one of our own errors."""

from __future__ import annotations

from collections.abc import Callable

from relsign.errors import InputError, RelsignError

MUTATIONS = 100_000
"""Hostile documents for each parser."""


def count_refusals(
    parse: Callable[[bytes], object],
    make: Callable[[], bytes],
    count: int,
    typed: tuple[type[RelsignError], ...] = (InputError,),
) -> int:
    """Parse `count` documents; return how many were refused.

    Any exception but `typed` goes through, with the document that raised it.
    """
    refused = 0
    for _ in range(count):
        document = make()
        try:
            parse(document)
        except typed as error:
            refused += 1
            text = str(error)
            assert text.isascii(), (document, text)
            assert text.isprintable(), (document, text)
        except BaseException as error:
            error.add_note(f"raised by the document {document!r}")
            raise
    return refused
