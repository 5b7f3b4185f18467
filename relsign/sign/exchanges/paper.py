"""Parcels between an exchange and paper: QR codes on a terminal or in files.

`relsign.formats.paper` decides what a part is.  A machine without a network keeps a
folder as its exchange; a parcel carries what the other side lacks, in each direction.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from relsign.errors import HostError
from relsign.formats.paper import Parcel
from relsign.sign.exchanges.interface import Exchange, check_topic
from relsign.system.files import make_folder, write_whole

if TYPE_CHECKING:
    from segno import QRCode

PICTURES = ("png", "svg")
_BORDER = 4
"""Light modules around a code, as ISO/IEC 18004 asks."""
_SCALE = 6


def gather(exchange: Exchange, topics: Iterable[str]) -> Parcel:
    """Return all messages of some topics; raises as `Exchange.messages`."""
    return {topic: messages for topic in topics if (messages := exchange.messages(topic).messages)}


def carry_in(exchange: Exchange, parcel: Parcel) -> int:
    """Put a parcel's messages into an exchange; return how many there were.

    Those that are there already change nothing.  Raises as `Exchange.put`.
    """
    for topic in parcel:
        check_topic(topic)
    count = 0
    for topic, messages in parcel.items():
        for message in messages:
            exchange.put(topic, message)
            count += 1
    return count


def terminal_code(part: str) -> tuple[str, ...]:
    """Return one part's QR code as lines of half blocks, for a terminal that is dark."""
    out = io.StringIO()
    _code(part).terminal(out, border=_BORDER, compact=True)
    return tuple(out.getvalue().splitlines())


def write_codes(parts: tuple[str, ...], folder: Path, kind: str) -> tuple[Path, ...]:
    """Write each part's QR code to ``FOLDER/DIGEST8-N-of-M.KIND``, `kind` one of `PICTURES`."""
    make_folder(folder)
    paths = []
    for part in parts:
        _magic, number, of, digest8, _payload = part.split("/")
        path = folder / f"{digest8}-{number.zfill(len(of))}-of-{of}.{kind}"
        out = io.BytesIO()
        _code(part).save(out, kind=kind, scale=_SCALE, border=_BORDER)
        write_whole(path, out.getvalue())
        paths.append(path)
    return tuple(paths)


def _code(part: str) -> QRCode:
    try:
        import segno  # noqa: PLC0415 - only who draws needs it
    except ImportError as error:
        raise HostError(
            "no library that draws QR codes",
            hint="install relsign with its extra `qr`, or copy the parts as text",
        ) from error
    return segno.make_qr(part, error="m", mode="alphanumeric", boost_error=False)
