"""Other languages' own programs, which fetch for us as this machine has configured them.

No document of ours names a server: which one, with which proxies and certificates,
is for npm, Go and Cargo to know.  They see the few variables named here and nothing
else of the caller's environment, and run no code of a package.  What they bring is
untrusted until its digest was compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from relsign.build.inputs.mirrors import last_words
from relsign.build.store import Store
from relsign.errors import HostError, RelsignError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import network_environment
from relsign.system.process import require_program, run_program

MAX_FILE_BYTES = 2 << 30
CLIENT_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Client:
    """A program, the Debian package it is in, and the variables that configure it."""

    program: str
    package: str
    variables: tuple[str, ...]
    withdrawn: re.Pattern[bytes]
    """What it complains of where a server answered that it has no such file."""

    def run(
        self, words: Sequence[str | Path], cwd: Path, extra: Mapping[str, str]
    ) -> CompletedProcess[bytes]:
        """Run it in `cwd`; raise HostError if it is missing or takes too long."""
        # The size limit is the kernel's, so a server that never stops cannot fill the disk.
        limit = (require_program("prlimit", "util-linux"), f"--fsize={MAX_FILE_BYTES}", "--")
        environment = network_environment()
        environment |= {name: os.environ[name] for name in self.variables if name in os.environ}
        return run_program(
            [*limit, require_program(self.program, self.package), *words],
            environment={**environment, **extra},
            cwd=cwd,
            timeout_seconds=CLIENT_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that a client brought, and what the lock says of it, if there is one yet."""

    name: str
    path: Path
    sha256: Digest | None = None
    size: int | None = None


class WithdrawnError(HostError):
    """A server answered that it has no such file, which an unreachable one does not say."""


def keep(files: Sequence[Arrived], store: Store) -> dict[str, tuple[Digest, int]]:
    """Store every file, and return digest and size of each by its name.

    Raises one VerificationError that names every file with other bytes than the lock's.
    """
    stored: dict[str, tuple[Digest, int]] = {}
    lies: dict[str, VerificationError] = {}
    for file in files:
        where = f"builder.lock: {file.name}"
        try:
            found = store.add_file(file.path, file.sha256, where=where)
        except VerificationError as error:
            lies[file.name] = error
            continue
        stored[file.name] = (found.sha256, found.size)
        if file.size not in {None, found.size}:
            lies[file.name] = VerificationError(
                "wrong size",
                where=where,
                expected=str(file.size),
                got=str(found.size),
                hint="its digest is right, so the lock was edited: lock anew and look at what "
                "changed",
            )
    if len(lies) == 1:
        raise next(iter(lies.values()))
    if lies:
        raise other_bytes(tuple(lies), "the lock's")
    return stored


def other_bytes(names: Sequence[str], whose: str) -> VerificationError:
    """Return the error for files that a server gave with other bytes than were reviewed."""
    return VerificationError(
        f"{len(names)} file(s) were served with other bytes than {whose}",
        where=f"builder.lock: {names[0]}",
        got=", ".join(names),
        hint="the bytes are not the ones that were reviewed: do not just lock anew, find out "
        "why they changed",
    )


def not_fetched(names: Sequence[str], client: Client, stderr: bytes) -> HostError:
    """Return the error that names every file which did not come, in the client's words.

    It is a WithdrawnError if a server said that it does not have (one of) them.
    """
    kind = WithdrawnError if client.withdrawn.search(stderr) else HostError
    return kind(
        f"{len(names)} file(s) not fetched: {', '.join(names)}",
        where=f"builder.lock: {names[0]}",
        got=last_words(stderr),
        hint=f"check the network and the server {client.program} is configured for, copy the "
        "files from another builder's store, or lock other versions",
    )


def do_all(tasks: Iterable[Callable[[], None]]) -> None:
    """Do every task, even after one that failed; then raise one error for all that did."""
    errors: list[RelsignError] = []
    for task in tasks:
        try:
            task()
        except RelsignError as error:
            errors.append(error)
    if errors:
        raise _all_together(errors)


def _all_together(errors: Sequence[RelsignError]) -> RelsignError:
    """Return one error for several: the worst one's kind, everyone's words."""
    if len(errors) == 1:
        return errors[0]
    lies = [error for error in errors if isinstance(error, VerificationError)]
    first = (lies or errors)[0]
    kind = VerificationError if lies else HostError
    # Each with its own place, or nobody could tell which of ten layers was refused.
    words = "; ".join(f"{e.where}: {e.what}" if e.where else e.what for e in errors)
    reasons = "; ".join(dict.fromkeys(error.got for error in errors if error.got))
    return kind(words, got=reasons, hint=first.hint)
