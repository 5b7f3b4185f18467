"""The recipe's checks: its own commands look at the finished artifacts, and must succeed.

Each runs as a build does, in a fresh container of the same profile and with no network, in
a folder that holds the release's artifacts, or those it names, and nothing else.  What it
writes is thrown away with the container: a check can refuse a release and change nothing.

    checked = run_checks(bench, workspace, profile, Finished(fingerprints, folder), listening)

The artifacts are read from the disk as they lie there, and must still be the ones that the
fingerprints name: the link that says they were checked names them by digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from relsign.build.ending import ending_on_signals
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.engine.leftovers import remove_leftovers
from relsign.build.failure import explain_failure
from relsign.build.limit import TimeLimit
from relsign.build.log import BuildLog
from relsign.build.moved import check_lock_is_current
from relsign.build.profile import Profile
from relsign.build.run import BuildEvent
from relsign.build.sandbox.view import missing_knobs
from relsign.build.target import Bench, Listener, prepare_image
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError, RelsignError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.fingerprint import BuiltArtifact, EnvironmentDigest, Fingerprint
from relsign.formats.recipe import Check
from relsign.system.files import host_error, open_regular
from relsign.system.workspace import Workspace

FOLDER = "release"
"""Folder below the build folder where the artifacts lie and commands start."""
SHOWN_COMMAND = 300
NEXT = "nothing was signed; mend what is released, or the check, and build again"

Listening = Callable[[Check], AbstractContextManager[Listener]]
"""Opens whatever hears of one check while it runs; its `on_log` gets the check's log."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What was built: the fingerprints of all targets, and the folder of their artifacts."""

    fingerprints: tuple[Fingerprint, ...]
    folder: Path

    def artifacts_of(self, check: Check) -> tuple[BuiltArtifact, ...]:
        """Return the artifacts a check looks at, sorted by name."""
        every = [artifact for f in self.fingerprints for artifact in f.artifacts]
        wanted = set(check.artifacts) or {artifact.name for artifact in every}
        return tuple(sorted((a for a in every if a.name in wanted), key=lambda a: a.name))


def run_checks(
    bench: Bench, workspace: Workspace, profile: Profile, built: Finished, listening: Listening
) -> tuple[EnvironmentDigest, ...]:
    """Run the recipe's checks, in its order; return the environments they ran in, by name.

    Nothing where the recipe has no checks.  Raises VerificationError, naming check and
    command, for the first that fails, takes too long or finds an artifact that is no longer
    the one that was built; InputError or NotEnoughError where an environment is not there,
    HostError for the machine.
    """
    environments: dict[str, EnvironmentDigest] = {}
    for check in workspace.recipe().check:
        lock = workspace.lock(check.builder)
        check_lock_is_current(workspace, check.builder, lock)
        with listening(check) as listener:
            image = prepare_image(bench, lock, listener)
            run_check(bench, image, profile, Look(check, built), listener)
        environments[check.builder] = EnvironmentDigest(
            builder=check.builder,
            lock_sha256=sha256_hex(workspace.lock_bytes(check.builder)),
            rootfs_sha256=lock.rootfs.sha256,
        )
    return tuple(environments[name] for name in sorted(environments))


@dataclass(frozen=True, slots=True)
class Look:
    """One check, and what it looks at."""

    check: Check
    built: Finished


def run_check(bench: Bench, image: str, profile: Profile, look: Look, listener: Listener) -> None:
    """Run one check in a fresh container of `image`; raises as `run_checks` does.

    The container and all it wrote are removed, whatever happens, also on SIGINT and SIGTERM.
    """
    check = look.check
    variables = profile.variables(check.environment, None)
    settings = HostSettings(bench.cache, variables, (bench.cpu,))
    with ending_on_signals(), _release_tar(look, profile) as tar:
        remove_leftovers(bench.engine)
        listener.on_event(BuildEvent("start"))
        with open_container(bench.engine, image, profile, settings) as container:
            _require_fixed(missing_knobs(container, profile), look)
            container.put(profile.build_folder, tar)
            _Running(container, profile, check, listener).run_in_time()
        listener.on_event(BuildEvent("done"))


def _require_fixed(missing: tuple[str, ...], look: Look) -> None:
    """Refuse to check in a container that controls less than those that built.

    A link of a check names no profile: it is the fingerprints', and what those say the
    engine could not fix is all that may be missing here.  Raises HostError.
    """
    known = {knob for each in look.built.fingerprints for knob in each.profile.without or ()}
    if more := sorted(set(missing) - known):
        raise HostError(
            "the engine does not fix for a check what it fixed for the builds",
            where=f"check {look.check.name}",
            expected=f"nothing missing but {', '.join(sorted(known))}" if known else "all fixed",
            got=f"not in force: {', '.join(more)}",
            hint="look with `relsign doctor --probe`; build and check on one engine",
        )


class _Running:
    """The commands of one check in its container."""

    def __init__(
        self, container: Container, profile: Profile, check: Check, listener: Listener
    ) -> None:
        self._container = container
        self._profile = profile
        self._check = check
        self._listener = listener
        self._log = BuildLog(listener.on_log)
        self._where = f"check {check.name}"

    def run_in_time(self) -> None:
        """Run all commands; raise VerificationError for one that fails or does not end."""
        minutes = self._check.time_limit_minutes
        with TimeLimit(self._container, minutes * 60) as limit:
            try:
                self._run()
            except RelsignError as error:
                # A killed container shows in many ways; the limit is what to tell.
                if limit.is_over:
                    raise self._failed("takes too long", f"{minutes} minutes at most") from error
                if not isinstance(error, InputError):
                    raise
                raise self._refusal(error) from error

    def _run(self) -> None:
        folder = f"{self._profile.build_folder}/{FOLDER}"
        commands = self._check.commands
        for number, command in enumerate(commands, 1):
            place = f"command {number} of {len(commands)}"
            self._where = f"check {self._check.name}: {place}: {shorten(command, SHOWN_COMMAND)}"
            self._listener.on_event(BuildEvent("command", number, len(commands), command))
            self._log.begin()
            argv = (*self._profile.wrapper, folder, command)
            code = self._container.execute(argv, self._log.write)
            if code != 0:
                raise explain_failure(self._container, self._profile, self._where, code, self._log)

    def _refusal(self, error: InputError) -> VerificationError:
        """Return why a check does not pass: what failed in the container says no to a release."""
        what = "failed" if error.what == "command failed" else f"failed: {error.what}"
        return self._failed(what, error.expected, error.got)

    def _failed(self, what: str, expected: str, got: str = "") -> VerificationError:
        return VerificationError(
            f"the release check {what}",
            where=self._where,
            expected=expected,
            got=got,
            hint="\n".join(filter(None, (self._log.shown(), NEXT))),
        )


@contextlib.contextmanager
def _release_tar(look: Look, profile: Profile) -> Iterator[BinaryIO]:
    """Make the tar that is unpacked in the container: the home folder, and the artifacts.

    Raises InputError where they do not fit into the container, as `_add` does for each.
    """
    artifacts = look.built.artifacts_of(look.check)
    size = sum(artifact.size for artifact in artifacts)
    if size > profile.build_bytes:
        raise InputError(
            "the artifacts are too large to be checked",
            where=f"check {look.check.name}",
            expected=f"at most {profile.build_bytes} bytes",
            got=str(size),
            hint="name in its `artifacts` only those the check looks at",
        )
    with tempfile.TemporaryFile() as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for folder in (profile.home, FOLDER):
                tar.addfile(_member(folder, profile, tarfile.DIRTYPE, 0o755))
            for artifact in artifacts:
                _add(tar, look.built.folder / artifact.name, artifact, profile)
        stream.seek(0)
        yield stream


def _member(name: str, profile: Profile, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    member.uid, member.gid = profile.user, profile.group
    return member


def _add(tar: tarfile.TarFile, path: Path, artifact: BuiltArtifact, profile: Profile) -> None:
    """Add one artifact as it was built; raise VerificationError if the disk has another.

    Raises InputError if it is no regular file, NotEnoughError if it is gone.
    """
    name = f"{FOLDER}/{artifact.name}"
    member = _member(name, profile, tarfile.REGTYPE, int(artifact.mode, 8))
    member.size = artifact.size
    with open_regular(path) as source:
        hashing = _Hashing(source)
        try:
            tar.addfile(member, hashing)
        except OSError as error:
            if error.errno is not None:
                raise host_error(error, path) from error
            # So tarfile says that a file ended too early.
            raise _changed(path, artifact, "shorter than it") from error
        if source.read(1):
            raise _changed(path, artifact, "longer than it")
    if hashing.hexdigest() != artifact.sha256:
        raise _changed(path, artifact, hashing.hexdigest())


class _Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _changed(path: Path, artifact: BuiltArtifact, got: str) -> VerificationError:
    return VerificationError(
        "an artifact changed on the disk since it was built",
        where=str(path),
        expected=artifact.sha256,
        got=got,
        hint="find out what writes there, and build again",
    )
