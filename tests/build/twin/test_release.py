"""`relsign build --check`: the verdict in the link is of the bytes beside it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from relsign.formats.link import parse_link
from tests.build.commanded import CHECK, Place, make_place, target
from tests.build.conftest import RootFs

pytestmark = pytest.mark.engine

UNTIL = 20
"""Seconds for the release's build to start and end."""


@pytest.fixture
def place(tmp_path: Path, rootfs: RootFs, image: str) -> Place:
    """Return a project whose environment is in the engine already."""
    assert image
    return make_place(tmp_path, rootfs.sha256)


@pytest.mark.slow
@pytest.mark.parametrize(("late", "verdict"), [("early", "identical"), ("late", "different")])
def test_a_target_that_comes_out_otherwise_now_and_then_is_not_called_identical(
    place: Place, late: str, verdict: str
) -> None:
    end = int(time.time()) + UNTIL
    is_early = f"[ $(date +%s) -lt {end} ]"
    # The check waits between the release's build and those that are compared with each other.
    place.recipe(
        target("x", f"{is_early} && echo early >x.bin || echo {late} >x.bin"),
        CHECK.format(command=f"while {is_early}; do sleep 1; done"),
    )
    assert place.build("--check") == 0
    assert (place.built / "artifacts" / "x.bin").read_bytes() == b"early\n"
    link = parse_link((place.built / "build.link.unsigned").read_bytes(), "link")
    assert [(twin.target, twin.verdict) for twin in link.byproducts.twins or ()] == [("x", verdict)]
