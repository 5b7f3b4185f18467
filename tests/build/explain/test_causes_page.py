"""docs/reference/causes.md and the table of causes are the same."""

from __future__ import annotations

import re
from pathlib import Path

from relsign.build.explain.causes import CAUSES

PAGE = Path(__file__).parents[3] / "docs/reference/causes.md"


def test_the_page_lists_the_causes_there_are() -> None:
    rows = re.findall(
        r"(?m)^\| `([a-z0-9-]+)`( \*last\*)? \| (.*?) \| (.*) \| ([a-z, -]+) \|$", PAGE.read_text()
    )
    table = [
        (
            cause.name,
            " *last*" if cause.is_weak else "",
            cause.sentence,
            cause.fix.replace("|", r"\|"),
            ", ".join(sorted(cause.knobs)) or "-",
        )
        for cause in CAUSES.values()
    ]
    assert rows == table
