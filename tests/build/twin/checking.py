"""A check on the small test image: commands in, verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from relsign.build.engine.connection import Engine
from relsign.build.profile import load_profile
from relsign.build.target import Listener
from relsign.build.twin.check import check_subject
from relsign.build.twin.knobs import KNOB_NAMES, Machine
from relsign.build.twin.series import CheckEvent
from relsign.build.twin.verdict import Checked
from relsign.build.twin.workshop import Subject, Workshop, setup_for
from relsign.formats.recipe import Target
from tests.build.room import make_source

FILES = {"a.txt": b"a\n", "b.txt": b"b\n", "c.txt": b"c\n"}


@dataclass
class CheckRoom:
    """Checks targets and remembers which builds it took."""

    engine: Engine
    image: str
    folder: Path
    machine: Machine
    events: list[CheckEvent] = field(default_factory=list)
    log: bytearray = field(default_factory=bytearray)
    other: tuple[Engine, str] | None = None
    """An engine of another kind, and the same image in it."""
    source: BinaryIO = field(default_factory=lambda: make_source(FILES))

    def workshop(self, target: Target) -> Workshop:
        listener = Listener(
            on_event=lambda _event: None,
            on_log=self.log.extend,
            on_bootstrap=lambda _builder: None,
        )
        here = (self.engine, self.image)
        rooms = {False: here, True: self.other or here}
        subject = Subject(target, "src", (self.source,), rooms.__getitem__)
        return Workshop(subject, self.folder / "made", self.folder / "bound", listener)

    def check(
        self,
        target: Target,
        only: frozenset[str] | None = None,
        without: frozenset[str] = frozenset(),
    ) -> Checked:
        left: Mapping[str, str] = {
            name: "not asked for"
            for name in KNOB_NAMES
            if name in without or (only is not None and name not in only)
        }
        setup = setup_for(target, load_profile(), (0,))
        workshop = self.workshop(target)
        return check_subject(workshop, setup, self.machine, left, self.events.append)
