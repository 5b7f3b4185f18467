"""Causes of another order of the same things."""

from __future__ import annotations

import re

from relsign.build.explain.difference import Difference

FILE_NAME = re.compile(
    r"(?:^|[\s|\"'(])[\w.+-]*(?:/[\w.+-]+)+|[\w+-]+\.[A-Za-z]\w{0,4}(?:$|[\s|\"',)])"
)
LOG_LINE = re.compile(
    r"^(?:\s*(?:CC|CXX|LD|AR|GEN|INSTALL|MKDIR)\s|make\[\d|\[ *\d+[%/]|gcc |g\+\+ |cc |clang"
    r"|[Cc]ompil|[Bb]uilding |[Ff]inished |[Ss]tarted |job |done )"
)
NAMES = re.compile(r"section \.strtab\b")
SYMBOLS = re.compile(r"section \.(?:strtab|symtab|dynstr|dynsym|rodata|data|shstrtab)\b")


def by_order(difference: Difference) -> tuple[str, ...]:
    """Return the names of causes that may have made this order, the likeliest first."""
    unit, rule, *_ = [*difference.what.removeprefix("order:").split(":"), ""]
    if difference.place.rpartition(" > ")[0].endswith("MANIFEST.MF"):
        return ("jar-manifest",)
    if unit in {"ar", "tar", "zip"}:
        return _of_members(unit, difference)
    if SYMBOLS.search(difference.place):
        return _of_symbols(difference)
    if rule == "collation":
        return ("locale-sorted", "directory-order")
    return _of_lines(difference)


def _of_members(unit: str, difference: Difference) -> tuple[str, ...]:
    if unit == "ar" and ".o" in difference.one:
        return ("library-order", "parallel-race", "locale-sorted")
    return ("member-order", "locale-sorted", "parallel-race", "hash-order")


def _of_symbols(difference: Difference) -> tuple[str, ...]:
    # Symbols of the same source move with the compiler's flags, sources with the linker's list.
    if NAMES.search(difference.place) and not difference.what.endswith(":sources"):
        return ("code-generation", "link-order")
    return ("link-order", "hash-order", "parallel-race")


def _of_lines(difference: Difference) -> tuple[str, ...]:
    text = difference.one
    others = ("hash-order", "directory-order", "parallel-race", "locale-sorted")
    first = "hash-order"
    if LOG_LINE.search(text):
        first = "parallel-race"
    elif FILE_NAME.search(text):
        first = "directory-order"
    return (first, *(name for name in others if name != first))
