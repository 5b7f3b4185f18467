"""Let diffoscope look at two files: bounded, without network, in a folder of its own.

Own comparison and causes never wait for it: it is a second opinion with a fine page
for people.  What it prints is untrusted: it quotes the files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relsign.errors import InputError, RelsignError
from relsign.formats.canonical import shorten
from relsign.system.files import read_bounded
from relsign.system.process import PATH, require_program, run_program

SAME, DIFFERENT = 0, 1
MAX_LINES = 400
MAX_DEPTH = 60
NAMESPACES = ("--net", "--pid", "--fork", "--kill-child", "--")
AS_ANYBODY = ("--user", "--map-root-user", *NAMESPACES)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one run may cost; prlimit and unshare hold it to that."""

    seconds: int = 300
    memory_bytes: int = 4 << 30
    file_bytes: int = 256 << 20
    report_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class Opinion:
    """What diffoscope said; `problem` says why it said nothing."""

    problem: str = ""
    lines: tuple[str, ...] = ()
    json: bytes = b""
    html: bytes = b""


class _Detail(msgspec.Struct):
    """One node of its JSON; the format's other fields say nothing we show."""

    source1: str
    source2: str
    unified_diff: str | None = None
    details: list[_Detail] = []


def ask_diffoscope(
    one: Path, two: Path, allowance: Allowance | None = None, *, path: str = PATH
) -> Opinion:
    """Return what diffoscope finds; never raises for its absence, failure or nonsense.

    `path` is where programs are looked for.
    """
    program = shutil.which("diffoscope", path=path)
    if program is None:
        return Opinion("diffoscope is not installed: apt-get install diffoscope")
    bounds = allowance or Allowance()
    try:
        with tempfile.TemporaryDirectory(prefix="relsign-diffoscope-") as folder:
            return _ask(program, (one, two), Path(folder), bounds)
    except (RelsignError, OSError) as error:
        return Opinion(f"diffoscope gave no answer: {error}")


def _ask(program: str, files: tuple[Path, Path], folder: Path, bounds: Allowance) -> Opinion:
    command = (
        require_program("prlimit", "util-linux"),
        f"--as={bounds.memory_bytes}",
        f"--fsize={bounds.file_bytes}",
        f"--cpu={bounds.seconds}",
        "--core=0",
        "--",
        program,
        "--no-progress",
        f"--timeout={max(1, bounds.seconds * 3 // 4)}",
        f"--max-report-size={bounds.report_bytes // 2}",
        f"--json={folder / 'report.json'}",
        f"--html={folder / 'report.html'}",
        "--",
        *(os.path.realpath(path.parent) + "/" + path.name for path in files),
    )
    code, said = _run_alone(command, folder, bounds.seconds)
    if code == SAME:
        return Opinion("diffoscope finds no difference")
    reports = folder / "report.json", folder / "report.html"
    if code != DIFFERENT or not all(path.exists() for path in reports):
        # The lines in front are warnings and a traceback: of no use to who reads this.
        last = said.strip().rpartition("\n")[2]
        return Opinion(f"diffoscope failed with {code}: {shorten(last, 200)}")
    json, html = (read_bounded(path, bounds.report_bytes) for path in reports)
    return Opinion("", tuple(_lines(json)), json, html)


def _run_alone(command: Sequence[str], folder: Path, seconds: int) -> tuple[int, str]:
    """Run in namespaces without a network; nothing it starts outlives it."""
    unshare = require_program("unshare", "util-linux")
    # Root needs no user namespace, which many containers and kernels forbid.
    ways = [NAMESPACES, AS_ANYBODY] if os.geteuid() == 0 else [AS_ANYBODY]
    said = ""
    for way in ways:
        result = run_program(
            (unshare, *way, *command),
            cwd=folder,
            environment={"TMPDIR": os.fspath(folder), "HOME": os.fspath(folder)},
            timeout_seconds=seconds,
        )
        said = result.stderr.decode("utf-8", "replace")
        if not said.startswith("unshare:"):
            return result.returncode, said
    return 2, said


def _lines(json: bytes) -> Iterator[str]:
    """Yield places and their first changed lines; raise InputError for another JSON."""
    try:
        top = msgspec.json.decode(json, type=_Detail)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError("diffoscope's report cannot be read", got=str(error)[:80]) from error
    for count, line in enumerate(_walk(top, "", 0)):
        if count >= MAX_LINES:
            return
        yield line


def _walk(detail: _Detail, above: str, depth: int) -> Iterator[str]:
    name = shorten(detail.source1 if depth else "file", 120)
    place = f"{above} > {name}" if above else name
    changed = [
        line
        for line in (detail.unified_diff or "").split("\n")
        if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))
    ]
    if changed:
        yield place
        yield from (f"  {shorten(line, 160)}" for line in changed[:4])
    if depth < MAX_DEPTH:
        for below in detail.details:
            yield from _walk(below, place, depth + 1)
