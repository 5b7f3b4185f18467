"""What this machine has that builds can be varied with, laid out in a folder."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from relsign.build.twin.faketime import copy_faketime
from relsign.build.twin.knobs import OTHER_LOCALE, Machine
from relsign.system.files import host_error, make_folder, write_whole
from relsign.system.process import PATH, run_program

LOCALE_SOURCES = Path("/usr/share/i18n/locales")
HELD_BY = timedelta(days=1)
"""The held clock is a day ahead, so that no file seems to come from the future."""
AHEAD_BY = timedelta(days=400)
FILE_MODE = 0o444
FOLLOW = b"%\n"
"""The library's word for: every process starts at the time of the file it is told to follow."""
SECOND = 10**9


def look_at_machine(
    folder: Path, cpus: tuple[int, ...], now: datetime, *, has_other_engine: bool = False
) -> Machine:
    """Write the files that variation binds into `folder`, and say what there is.

    Raises HostError if the folder cannot be written; what `copy_faketime` raises, too.
    """
    make_folder(folder)
    clocks = []
    for name, ahead in (("clock-held", HELD_BY), ("clock-ahead", HELD_BY + AHEAD_BY)):
        clocks.append(folder / name)
        write_whole(clocks[-1], FOLLOW, FILE_MODE)
        # In the middle of a second: what is read soon after the start is read as that one.
        at = int((now + ahead).timestamp()) * SECOND + SECOND // 2
        try:
            os.utime(clocks[-1], ns=(at, at))
        except OSError as error:
            raise host_error(error, clocks[-1]) from error
    return Machine(
        cpus=cpus,
        faketime=copy_faketime(folder),
        clock_held=clocks[0],
        clock_ahead=clocks[1],
        locale=_make_locale(folder),
        has_other_engine=has_other_engine,
    )


def _make_locale(folder: Path) -> Path | None:
    """Compile the other locale, where this machine has its sources and their compiler."""
    program = shutil.which("localedef", path=PATH)
    if program is None or not (LOCALE_SOURCES / OTHER_LOCALE).is_file():
        return None
    path = folder / f"{OTHER_LOCALE}.utf8"
    # It ends with 1 after mere warnings; what it made is what counts.
    run_program((program, "-i", OTHER_LOCALE, "-f", "UTF-8", "--no-archive", path))
    return path if (path / "LC_COLLATE").is_file() else None
