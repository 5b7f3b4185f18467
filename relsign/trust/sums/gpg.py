"""Thousands of detached signatures in one gpg process, in a home folder of their own.

``--verify-files`` takes messages only.  A signature packet followed by a literal data
packet is a message (RFC 4880, 11.3: "Signature Packet, OpenPGP Message"), and what is
signed is the literal's content, byte for byte: so each detached signature becomes one.

gpg runs without ``--batch``: with it, 2.2.40 ends at the first bad signature and leaves
the rest unsaid (measured).  No agent and no network are asked.  Only what gpg says
between the start and the end of a file is heeded, never its exit code.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import HostError
from relsign.formats.gnupg_text import (
    ListedKey,
    Status,
    read_file_statuses,
    read_key_listing,
)
from relsign.system.files import host_error
from relsign.system.process import require_program, run_program

MAX_RESTARTS = 50
"""How often gpg may die of one file before the rest is given up."""
_TIMEOUT_SECONDS = 1800.0

_OPTIONS = (
    "--no-options",
    "--no-tty",
    "--no-autostart",
    "--disable-dirmngr",
    "--no-auto-key-retrieve",
    "--no-auto-key-locate",
    "--no-auto-check-trustdb",
    "--trust-model=pgp",
    "--logger-file=/dev/null",
    "--status-fd=1",
)
_LITERAL = b"\xcb\xff"
"""New-format packet header: type 11, four octets of length (RFC 9580, 4.2.1 and 5.9)."""
_LITERAL_HEAD = b"b\x00\x00\x00\x00\x00"
"""Binary, no name, no date."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A private GnuPG home with the keys in it."""

    keys: Mapping[str, ListedKey]
    """Keys and subkeys that gpg took over, by fingerprint."""
    _folder: Path
    _gpg: str

    def check(self, messages: Sequence[tuple[bytes, bytes]]) -> list[tuple[Status, ...]]:
        """Return what gpg says about each (signature packet, signed bytes), in order.

        Nothing is said about one that gpg died of.  Raises HostError if gpg cannot
        be run, or the temporary folder cannot be written.
        """
        try:
            with tempfile.TemporaryDirectory(dir=self._folder) as work:
                for number, (signature, data) in enumerate(messages):
                    Path(work, str(number)).write_bytes(_as_message(signature, data))
                said = self._verify(Path(work), [str(n) for n in range(len(messages))])
        except OSError as error:
            raise host_error(error, self._folder) from error
        return [said.get(str(number), ()) for number in range(len(messages))]

    def _verify(self, work: Path, names: list[str]) -> dict[str, tuple[Status, ...]]:
        said: dict[str, tuple[Status, ...]] = {}
        for _ in range(MAX_RESTARTS):
            if not names:
                break
            done = run_program(
                _command(self._gpg, self._folder, "--verify-files", "--", *names),
                cwd=work,
                timeout_seconds=_TIMEOUT_SECONDS,
            )
            finished = read_file_statuses(done.stdout)
            said |= finished
            # The first one that is not finished is what gpg died of: it is passed over.
            names = [name for name in names if name not in finished][1:]
        return said


@contextlib.contextmanager
def open_verifier(certificates: Iterable[bytes]) -> Iterator[Verifier]:
    """Import binary certificates into a new private home, and remove it afterwards.

    Raises HostError if gpg is missing or cannot be run.
    """
    gpg = require_program("gpg", "gnupg")
    try:
        with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
            home = Path(folder)
            (home / "home").mkdir(mode=0o700)
            binary = b"".join(certificates)
            if binary:
                run_program(_command(gpg, home, "--batch", "--import"), stdin=binary)
            # Without a trust database gpg says nothing about expired keys.
            run_program(_command(gpg, home, "--batch", "--check-trustdb"))
            listing = run_program(_command(gpg, home, "--batch", "--with-colons", "--list-keys"))
            keys = read_key_listing(listing.stdout)
            if binary and not keys:
                raise HostError("gpg took over no key", where=gpg)
            yield Verifier(keys, home, gpg)
    except OSError as error:
        raise host_error(error, tempfile.gettempdir()) from error


def _command(gpg: str, folder: Path, *words: str) -> list[str | Path]:
    return [gpg, "--homedir", folder / "home", *_OPTIONS, *words]


def _as_message(signature: bytes, data: bytes) -> bytes:
    size = len(_LITERAL_HEAD) + len(data)
    return signature + _LITERAL + size.to_bytes(4, "big") + _LITERAL_HEAD + data
