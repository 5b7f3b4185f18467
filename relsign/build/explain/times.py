"""Causes that changed dates and numbers tell."""

from __future__ import annotations

import re

from relsign.build.explain.tokens import MONTH, Change

MACRO_DATE = re.compile(r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{4}")
MACRO_TIME = re.compile(r"\d\d:\d\d:\d\d")
MACRO_BOTH = re.compile(rf"{MACRO_DATE.pattern}|{MACRO_TIME.pattern}")
CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
ZONE = re.compile(r"(?:[+-]\d\d:?\d\d|Z|UTC|GMT|[A-Z]{3,4}T)$")
ZONE_WORD = re.compile(r"[+-]?\d\d:?\d\d|Z|UTC|GMT|[A-Z]{2,4}T")
EPOCH = re.compile(r"\d{9,10}|\d{13}")
YEARS = 20 * 366 * 86400
EARLIEST, LATEST = 5 * 10**8, 2**32
YEAR = re.compile(r"(?:19[7-9]|20)\d\d?")
INTEGER = re.compile(r"\d{1,10}")
DECIMAL = re.compile(r"[-+]?\d+\.\d+(?:[eE][-+]?\d+)?")
NUMERAL = re.compile(r"[-+]?[\d.,]+")
SAME_DIGITS = 1e-5
ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}")
NUMBERS = re.compile(r"\d{1,9}")
AFTER_PROCESS = re.compile(r"(?i)(?:\bpid|process(?: id)?|getpid\(\)|\w\[|\$\$)\W{0,3}$")
AFTER_CPUS = re.compile(
    r"(?i)(?:\bjobs|\bn?cpus?|\bcores?|\bthreads?|\bnproc|-j|parallel\w*|\bworkers|processors)"
    r"[ \w]{0,8}\W{0,3}$"
)
BEFORE_CPUS = re.compile(r"(?i) ?(?:jobs|cpus?|cores?|threads?|workers|processors)\b")
AFTER_MEMORY = re.compile(r"(?i)(?:MemTotal|\bmem(?:ory)?|\bram)[ \w]{0,8}\W{0,8}$")
AFTER_COUNTER = re.compile(r"(?i)(?:build(?: ?(?:number|count\w*|no\.?))?)\W{0,3}$|#$")


def by_time(change: Change, section: str) -> str:
    """Return the cause that a changed date, clock or number tells, else an empty text."""
    one, two = change.one.strip(), change.two.strip()
    return (
        _by_date(change, one, two, section)
        or _by_zone_word(change, one, two)
        or _by_language(one, two)
        or _by_number(change, one, two)
    )


def _by_date(change: Change, one: str, two: str, section: str) -> str:
    if change.shapes != ("date", "date"):
        return ""
    if section and all(MACRO_BOTH.fullmatch(side) for side in (one, two)):
        return "date-time-macros"
    if _is_zone(one, two):
        return "time-zone"
    return "embedded-time"


def _is_zone(one: str, two: str) -> bool:
    """Say whether two dates name other zones, or are whole hours apart to the second."""
    zones = [found.group() if (found := ZONE.search(side)) else "" for side in (one, two)]
    if zones[0] != zones[1]:
        return True
    clocks = [CLOCK.search(side) for side in (one, two)]
    if clocks[0] is None or clocks[1] is None or clocks[0].group(3) is None:
        return False
    hours = [clock.group(1) for clock in clocks if clock]
    return hours[0] != hours[1] and clocks[0].groups()[1:] == clocks[1].groups()[1:]


def _by_zone_word(change: Change, one: str, two: str) -> str:
    words = all(ZONE_WORD.fullmatch(side) for side in (one, two))
    near = CLOCK.search(change.before[-16:]) or re.search(r"(?i)(?:tz|zone)\W*$", change.before)
    return "time-zone" if words and near else ""


def _by_language(one: str, two: str) -> str:
    """Recognise the same numbers or date, written by the rules of two languages."""
    if one != two and all(NUMERAL.fullmatch(side) for side in (one, two)):
        return "locale-format" if _digits(one) == _digits(two) else ""
    plain = [ESCAPE.sub("", side) for side in (one, two)]
    numbers = [sorted(map(int, NUMBERS.findall(side)[:20])) for side in plain]
    is_date = bool(re.search(MONTH, one) or re.search(MONTH, two)) or bool(CLOCK.search(one))
    return "locale-format" if is_date and numbers[0] == numbers[1] and numbers[0] else ""


def _digits(text: str) -> str:
    return re.sub(r"[.,]", "", text)


def _by_number(change: Change, one: str, two: str) -> str:
    if EPOCH.fullmatch(one) and EPOCH.fullmatch(two) and _are_near(one, two):
        return "embedded-time"
    if DECIMAL.fullmatch(one) and DECIMAL.fullmatch(two):
        left, right = float(one), float(two)
        close = abs(left - right) <= SAME_DIGITS * max(abs(left), abs(right))
        return "float-digits" if close else ""
    if not (INTEGER.fullmatch(one) and INTEGER.fullmatch(two)):
        return ""
    return _by_context(change) or ("embedded-time" if _are_years(one, two) else "")


def _by_context(change: Change) -> str:
    before, after = change.before[-40:], change.after[:16]
    if AFTER_PROCESS.search(before):
        return "pid"
    if AFTER_CPUS.search(before) or BEFORE_CPUS.match(after):
        return "cpu-count"
    if AFTER_MEMORY.search(before):
        return "memory-size"
    return "build-counter" if AFTER_COUNTER.search(before) else ""


def _are_near(one: str, two: str) -> bool:
    return len(one) == len(two) and are_times(int(one[:10]), int(two[:10]))


def are_times(one: int, two: int) -> bool:
    """Say whether two numbers may be seconds since 1970 of two builds."""
    inside = all(EARLIEST <= value < LATEST for value in (one, two))
    return inside and abs(one - two) <= YEARS


def _are_years(one: str, two: str) -> bool:
    return all(YEAR.fullmatch(side) and len(side) == len("2026") for side in (one, two))
