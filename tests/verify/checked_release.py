"""A release whose recipe has checks, and the links of those who ran them."""

from __future__ import annotations

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.formats.fingerprint import EnvironmentDigest, Fingerprint
from relsign.formats.link import Link, link_file_name
from relsign.formats.names import Digest
from relsign.sign.evidence.links import make_links
from tests.verify.releases import (
    ARTIFACT,
    RECIPE,
    Release,
    altered_link,
    link_files,
    make_fingerprint,
    make_root,
    parties,
)

CHECK = """
[[check]]
name = "smoke"
builder = "debian-test"
commands = ["tar tf demo-1.0.tar.gz"]
"""
CHECKED_RECIPE = RECIPE + CHECK
ENVIRONMENT = EnvironmentDigest(
    builder="debian-test", lock_sha256=Digest("7" * 64), rootfs_sha256=Digest("8" * 64)
)
MOVED = msgspec.structs.replace(ENVIRONMENT, lock_sha256=Digest("9" * 64))
"""The same environment under another lock."""


def checked_fingerprint(artifact: bytes = ARTIFACT, recipe: str = CHECKED_RECIPE) -> Fingerprint:
    """Return what an honest builder of the checked recipe writes."""
    return make_fingerprint(artifact, recipe_sha256=sha256_hex(recipe.encode()))


def checked_release(**changes: object) -> Release:
    """Return a release whose builders all ran the checks, with some of it changed."""
    usual: dict[str, object] = {
        "recipe_text": CHECKED_RECIPE,
        "fingerprint": checked_fingerprint(),
        "checked": (ENVIRONMENT,),
    }
    return Release(**{**usual, **changes})  # type: ignore[arg-type]


def honest_links(fingerprint: Fingerprint | None = None) -> tuple[Link, ...]:
    """Return the three links of an honest builder."""
    return make_links((fingerprint or checked_fingerprint(),), None, (ENVIRONMENT,))


def checked_links(builder: str, fingerprint: Fingerprint | None = None) -> dict[str, bytes]:
    """Return a builder's three links, signed."""
    return link_files(fingerprint or checked_fingerprint(), builder, (ENVIRONMENT,))


def only(step: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the links of one step."""
    return {name: data for name, data in files.items() if name.startswith(f"{step}.")}


def changed_check(builder: str, step: str = "check", **changes: object) -> dict[str, bytes]:
    """Return one of a builder's links with some fields changed, signed again."""
    return altered_link(honest_links(), builder, step, **changes)


def check_file(builder: str) -> str:
    """Return the file name of a builder's check link."""
    return link_file_name("check", parties(make_root())[builder].keyid)
