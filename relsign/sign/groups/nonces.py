"""Nonces that are used at most once, whatever crashes and whenever.

A FROST nonce used for two messages gives the share away.  So each lies here from the
moment its commitment may be published until the one moment of its use:

    make     write the seeds, fsync           then the commitments may be published
    burn     (1) make a marker with the request's digest, exclusively; fsync it
             (2) fsync the folder             from now on nobody else gets the seeds
             (3) read the seeds
             (4) overwrite and unlink them
             (5) fsync the folder             a crash from (1) on loses them for good
             (6) return them                  then signature shares may be computed

    FOLDER/SESSION.ATTEMPT.STEP.seeds     until they are burned
    FOLDER/SESSION.ATTEMPT.STEP.burned    for ever: the digest of the request they went to
    FOLDER/SESSION.ATTEMPT.abandoned      for ever
    FOLDER/CACHEDIR.TAG                   asks backup programs to leave the folder out

Folders have mode 0700, files 0600.  Only the owner is trusted to write here: whoever
can put old files back can make one nonce serve twice.  A backup or a snapshot that is
restored does exactly that, and no program on the same disk can notice; keep this
folder out of them, best on a file system in memory, which no snapshot of a disk holds.
There a restart loses seeds and markers together, and that is safe.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.canonical import Value, decode_value
from relsign.formats.names import HexDigest
from relsign.formats.nonces import (
    MAX_NONCES_BYTES,
    SEED_BYTES,
    Attempt,
    Step,
    StepSeeds,
    parse_nonces,
)
from relsign.system.files import sync_folder, write_whole
from relsign.system.private import (
    PRIVATE_FILE,
    alone,
    erase,
    is_private_folder,
    is_there,
    list_private,
    read_private,
    with_hint,
    write_first,
)

Randomness = Callable[[int], bytes]
"""Gives so many random bytes, others each time: `secrets.token_bytes`."""
_WHAT = "nonce store"
_TAG_FILE = "CACHEDIR.TAG"
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Nonces of threshold signatures.  Leave this folder out of backups and snapshots:
# a nonce that is restored and used again gives the secret share away.
"""
_SEEDS_FILE = re.compile(r"([0-9a-f]{64})\.([1-9][0-9]{0,6})\.([1-9])\.seeds")
_MARKER = re.compile(rb"[0-9a-f]{64}\n")
_MAX_MARKER_BYTES = 65
_NEW_ATTEMPT = "start a new attempt with the others: these nonces never come back"


class Seeds(Value, frozen=True):
    """Two random seeds of 32 bytes: enough to commit to nonces; `repr` shows nothing."""

    hiding: bytes
    binding: bytes

    def __repr__(self) -> str:
        """Leave the seeds out."""
        return f"{type(self).__name__}()"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Leave the seeds out where rich prints."""
        return []


class BurnedSeeds(Seeds, frozen=True):
    """Seeds that nobody gets a second time: what a signature share may be made from.

    Only `NonceStore.burn` makes one.
    """


S = TypeVar("S", bound=Seeds)


@dataclass(frozen=True, slots=True)
class NonceStore:
    """A private folder of seeds and of the markers of those that were used.

    A session is the SHA-256 of its request, an attempt counts from 1, a step (1 to 9)
    is what is burned together: messages that depend on an earlier signature have a
    later step of their own.
    """

    folder: Path

    def make(
        self,
        session: str,
        attempt: int,
        steps: Mapping[int, Sequence[str]],
        randomness: Randomness = secrets.token_bytes,
    ) -> dict[int, dict[str, Seeds]]:
        """Return the seeds of each step's slots; they are on disk for good when it returns.

        Run again for the same session, attempt and slots it returns the same seeds, so
        that a command that was killed before it published can go on; a step that has none
        yet gets new ones.  Raises InputError
        once a step was burned or the attempt abandoned, for other slots than the first
        time, malformed names, or damaged seeds; HostError if the disk refuses, another
        process does not end, or `randomness` repeats itself.
        """
        planned = _planned(session, attempt, steps, randomness)
        with self._alone(session, attempt):
            self._refuse_spent(session, attempt, range(1, 10))
            held = {step: self._keep(wanted) for step, wanted in planned.items()}
            if {step for _, _, step in self._held(session, attempt)} != set(planned):
                raise _other_slots(self.folder)
            sync_folder(self.folder)
        return {step: _by_name(seeds, Seeds) for step, seeds in held.items()}

    def burn(
        self, session: str, attempt: int, step: int, request_sha256: str
    ) -> dict[str, BurnedSeeds]:
        """Return the seeds of one step for one request: exactly once, ever.

        The steps (1) to (6) of this module.  Of two processes one gets the seeds.  Raises
        InputError for every later call, even with the same request, for an attempt that
        was abandoned or never made, and for damaged seeds, which are gone then too;
        HostError if the disk refuses, which may cost the seeds and never shows them.
        """
        digest = decode_value(request_sha256, HexDigest, "digest of a request")
        seeds_file = self._seeds_file(session, attempt, step)
        with self._alone(session, attempt):
            self._refuse_spent(session, attempt, (step,))
            if not is_there(seeds_file):
                raise InputError(
                    "no nonces were made for this step",
                    where=os.fspath(seeds_file),
                    hint="take part in an attempt from its first step on",
                )
            # (1) and (2): from here on nobody else gets them.
            if not write_first(self._marker(session, attempt, step), f"{digest}\n".encode()):
                raise _spent(seeds_file, "another command was quicker")
            # (3) What lies there is read only now, so a loser has never seen it.
            data = _read(seeds_file)
            # (4) and (5): a crash from here on loses them, and no restart brings them back.
            erase(seeds_file)
            seeds = _parse(data, seeds_file)
        # (6) Out of this process they may come only as signature shares.
        return _by_name(seeds, BurnedSeeds)

    def abandon(self, session: str, attempt: int) -> None:
        """Give an attempt up: what is unburned of it is erased, and never made again.

        May be repeated.  Raises InputError for malformed names, HostError if the disk
        refuses.
        """
        with self._alone(session, attempt):
            write_first(self._abandoned(session, attempt), b"\n")
            for path in self._held(session, attempt):
                erase(self._seeds_file(*path))

    def burned(self, session: str, attempt: int, step: int) -> str | None:
        """Return the digest of the request that a step was burned for, None if it was not.

        Empty if the process was killed while it wrote the marker; burned it is all the
        same.
        """
        self._seeds_file(session, attempt, step)
        marker = self._marker(session, attempt, step)
        if not is_private_folder(self.folder, _WHAT) or not is_there(marker):
            return None
        try:
            data = read_private(marker, _WHAT, _MAX_MARKER_BYTES)
        except InputError:
            return ""
        return data.decode("ascii").strip() if _MARKER.fullmatch(data) else ""

    def pending(self) -> tuple[tuple[str, int], ...]:
        """Return session and attempt of all seeds that wait for their use, sorted."""
        if not is_private_folder(self.folder, _WHAT):
            return ()
        return tuple(sorted({(session, attempt) for session, attempt, _ in self._held()}))

    def _held(
        self, session: str | None = None, attempt: int | None = None
    ) -> list[tuple[str, int, int]]:
        """List session, attempt and step of the seeds that lie here."""
        found = (_SEEDS_FILE.fullmatch(name) for name in list_private(self.folder))
        held = ((match[1], int(match[2]), int(match[3])) for match in found if match)
        wanted = (session, attempt)
        return sorted(place for place in held if session is None or place[:2] == wanted)

    @contextlib.contextmanager
    def _alone(self, session: str, attempt: int) -> Iterator[None]:
        """Be the only process here, in a folder that backups leave out.

        Nothing but the answer to the loser rests on this lock: the marker decides.
        """
        self._abandoned(session, attempt)
        with alone(self.folder, _WHAT):
            if not is_there(self.folder / _TAG_FILE):
                write_whole(self.folder / _TAG_FILE, _TAG, PRIVATE_FILE)
            yield

    def _refuse_spent(self, session: str, attempt: int, steps: Sequence[int]) -> None:
        """Raise InputError for what was burned or abandoned; finish what a crash cut short."""
        if is_there(self._abandoned(session, attempt)):
            for place in self._held(session, attempt):
                erase(self._seeds_file(*place))
            raise _spent(self._abandoned(session, attempt), "this attempt was abandoned")
        for step in steps:
            digest = self.burned(session, attempt, step)
            if digest is not None:
                erase(self._seeds_file(session, attempt, step))
                used = f"for the request {digest}" if digest else "for a request"
                raise _spent(self._marker(session, attempt, step), f"burned {used}")

    def _keep(self, wanted: StepSeeds) -> StepSeeds:
        """Write seeds unless some lie there already; return those that count."""
        path = self._seeds_file(wanted.session, wanted.attempt, wanted.step)
        try:
            data = _read(path)
        except NotEnoughError:
            write_whole(path, wanted.to_bytes(), PRIVATE_FILE)
            return wanted
        held = _parse(data, path)
        if [slot.name for slot in held.slots] != [slot.name for slot in wanted.slots]:
            raise _other_slots(path)
        return held

    def _seeds_file(self, session: str, attempt: int, step: int) -> Path:
        return self.folder / f"{_stem(session, attempt)}.{_step(step)}.seeds"

    def _marker(self, session: str, attempt: int, step: int) -> Path:
        return self.folder / f"{_stem(session, attempt)}.{_step(step)}.burned"

    def _abandoned(self, session: str, attempt: int) -> Path:
        return self.folder / f"{_stem(session, attempt)}.abandoned"


def _stem(session: str, attempt: int) -> str:
    """Return the safe beginning of an attempt's file names; raise InputError otherwise."""
    digest = decode_value(session, HexDigest, "signing session")
    return f"{digest}.{decode_value(attempt, Attempt, 'attempt')}"


def _step(step: int) -> int:
    return decode_value(step, Step, "step")


def _planned(
    session: str, attempt: int, steps: Mapping[int, Sequence[str]], randomness: Randomness
) -> dict[int, StepSeeds]:
    """Return fresh seeds for all slots, valid as if they had been read."""
    if not steps:
        raise InputError("no steps to make nonces for", where=f"attempt {attempt}")
    count = 2 * sum(len(names) for names in steps.values())
    drawn = [randomness(SEED_BYTES).hex() for _ in range(count)]
    if len(set(drawn)) != count or any(len(seed) != 2 * SEED_BYTES for seed in drawn):
        raise HostError(
            "the random numbers of this machine repeat themselves",
            hint="do not sign on it: its nonces would show your share",
        )
    seeds = iter(drawn)
    planned = {}
    for step, names in steps.items():
        slots = [
            {"name": name, "hiding": hiding, "binding": binding}
            for name, hiding, binding in zip(names, seeds, seeds, strict=False)
        ]
        fields = {"session": session, "attempt": attempt, "step": step, "slots": slots}
        planned[step] = decode_value(fields, StepSeeds, "nonces to make")
    return planned


def _read(path: Path) -> bytes:
    try:
        return read_private(path, _WHAT, MAX_NONCES_BYTES)
    except InputError as error:
        # Whatever was done to the file: what it held may be known, or not what was published.
        raise with_hint(error, _NEW_ATTEMPT) from error


def _parse(data: bytes, path: Path) -> StepSeeds:
    """Return the seeds of a file; raise InputError, without their bytes, if they are not its."""
    seeds = None
    with contextlib.suppress(InputError):
        # What it says may show a piece of a seed, so it is not even kept as the cause.
        seeds = parse_nonces(data, "seeds")
    if seeds is None or path.name != f"{seeds.session}.{seeds.attempt}.{seeds.step}.seeds":
        raise InputError("damaged nonces", where=os.fspath(path), hint=_NEW_ATTEMPT)
    return seeds


def _by_name(seeds: StepSeeds, kind: type[S]) -> dict[str, S]:
    return {
        slot.name: kind(bytes.fromhex(slot.hiding), bytes.fromhex(slot.binding))
        for slot in seeds.slots
    }


def _spent(path: Path, got: str) -> InputError:
    return InputError(
        "nonces are used at most once", where=os.fspath(path), got=got, hint=_NEW_ATTEMPT
    )


def _other_slots(path: Path) -> InputError:
    return InputError(
        "this attempt has nonces for other messages", where=os.fspath(path), hint=_NEW_ATTEMPT
    )
