"""What a bundle means, worked out again without `relsign`: for tests of the decision.

A decision may say VERIFIED of a changed bundle only where `Meaning.holds`: every
payload that counts is the one that was made, byte for byte, and enough of the very
signatures that were made stand beside it.  Everything else in a bundle is ignored
evidence: white space and labels of envelopes, files of other names, surplus
signatures and links that are gone.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

Envelope = tuple[bytes, frozenset[bytes]]
"""Payload, and the bytes of its signatures."""


@dataclass(frozen=True)
class Meaning:
    """The parts of a good bundle, and how many of each are needed."""

    head: tuple[object, object, object]
    files: Mapping[str, bytes]
    need: int

    def holds(self, bundle: bytes) -> bool:
        """Say whether `bundle` still means what it did."""
        opened = read_bundle(bundle)
        return (
            opened is not None
            and opened.head == self.head
            and self._enough(opened, "release.statement")
            and self._enough(opened, "release.layout")
            and all(opened.files.get(n) == self.files[n] for n in self._named(".fingerprint.json"))
            and all(self._links(opened, step) >= self.need for step in ("source.", "build."))
        )

    def _named(self, ending: str) -> list[str]:
        return [name for name in self.files if name.endswith(ending)]

    def _enough(self, opened: Meaning, name: str) -> bool:
        mine, theirs = read_envelope(self.files[name]), read_envelope(opened.files.get(name))
        if mine is None or theirs is None or mine[0] != theirs[0]:
            return False
        return len(mine[1] & theirs[1]) >= self.need

    def _links(self, opened: Meaning, step: str) -> int:
        """Count the builders whose link of a step is as it was made."""
        names = [name for name in self._named(".link") if name.startswith(step)]
        return sum(
            read_envelope(opened.files.get(name)) == read_envelope(self.files[name])
            for name in names
        )


def read_bundle(bundle: bytes, need: int = 2) -> Meaning | None:
    """Return a bundle's parts, or None for anything that is no bundle at all."""
    try:
        table = json.loads(bundle)
        files = {n: base64.b64decode(t, validate=True) for n, t in table["files"].items()}
        return Meaning((table["format"], table["project"], table["version"]), files, need)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None


def read_envelope(data: bytes | None) -> Envelope | None:
    """Return payload and signatures of a DSSE envelope in either base64, or None."""
    try:
        table = json.loads(data or b"")
        if table["payloadType"] != "application/vnd.in-toto+json":
            return None
        signatures = frozenset(_bytes(entry["sig"]) for entry in table["signatures"])
        return _bytes(table["payload"]), signatures
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
