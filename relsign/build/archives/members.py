"""What may stand in an archive we unpack, and where it may land.

An archive is hostile until every member passed these rules.  Allowed are regular
files, folders and symbolic links that stay inside; everything else is refused
with the member's name, never skipped:

1. names: UTF-8, relative, no ``..``, no empty part, no control or formatting
   character, at most 255 bytes a part, 1024 bytes and 64 parts in all;
2. one entry per name, and nothing below a file or a link;
3. a link points to a relative path whose ``..`` all stand in front and do not
   lead out.  Folders are never links (rule 2), so such a link stays inside even
   through other links;
4. at most `Limits.entries` entries, those above the stripped folder among them, and
   `Limits.total_bytes` bytes, to which each hard link counts with its file's size: it is
   copied out.

Owners, permissions and special bits of the archive are not kept: a file is 0644,
or 0755 if its owner may execute it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from relsign.errors import InputError

MAX_PART_BYTES = 255
MAX_NAME_BYTES = 1024
MAX_PARTS = 64
MAX_MTIME = 253402300799
MAX_SHOWN = 120
TOO_MUCH = (
    "list it with `tar -tv` or `unzip -l` before you trust it; where all of it is needed, see "
    "that the sources of one build fit into its build folder together"
)
"""What to do with an archive that holds more than `Limits` allow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one archive: counts, bytes, and bytes out per byte in."""

    entries: int = 200_000
    total_bytes: int = 8 << 30
    ratio: int = 250
    """Honest compression of sources is below 20; a megabyte of zeros reaches 1000."""
    ratio_free_bytes: int = 64 << 20
    """The ratio is not asked before this many bytes: small files of zeros are honest."""

    def allowed_bytes(self, packed_bytes: int) -> int:
        """Return how many bytes may come out of an archive of `packed_bytes`."""
        return min(self.total_bytes, max(self.ratio_free_bytes, packed_bytes * self.ratio))


class Kind(Enum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry; `offset` and `size` are where its bytes lie in the spool."""

    name: str
    kind: Kind
    executable: bool = False
    mtime: int = 0
    offset: int = 0
    size: int = 0
    target: str = ""


def shown(name: str) -> str:
    """Return an untrusted name as printable ASCII, shortened."""
    return ascii(name)[1:-1][:MAX_SHOWN]


def refuse(what: str, name: str, *, hint: str = "") -> InputError:
    """Return the error for a member that breaks a rule."""
    return InputError(f"archive refused: {what}", got=shown(name), hint=hint)


def clean_name(name: str, kind: Kind) -> str:
    """Return a member's name in its one form, or raise InputError (rule 1).

    A leading ``./`` and a folder's trailing ``/`` are dropped; the archive's own
    root is the empty string.
    """
    _refuse_odd_characters(name)
    text = name.removeprefix("./")
    if kind is Kind.FOLDER:
        text = text.removesuffix("/")
    if kind is Kind.FOLDER and text in {"", "."}:
        return ""
    parts = text.split("/")
    if text.startswith("/"):
        raise refuse("absolute name", name)
    if any(part in {"", ".", ".."} for part in parts):
        raise refuse("name with an empty, '.' or '..' part", name)
    if len(parts) > MAX_PARTS or len(text.encode()) > MAX_NAME_BYTES:
        raise refuse("name is too long", name)
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise refuse("part of a name is too long", name)
    return text


def _refuse_odd_characters(name: str) -> None:
    # C*: control, format (right-to-left marks), surrogate, private, unassigned.
    for character in name:
        category = unicodedata.category(character)
        if category[0] == "C" or category in {"Zl", "Zp"}:
            raise refuse("name with a control or formatting character", name)


def checked_tree(members: Iterable[Member], strip: int, limits: Limits) -> tuple[Member, ...]:
    """Return the members below `strip` leading parts, sorted, once rules 2 to 4 hold."""
    tree: dict[str, Member] = {}
    total = 0
    top: tuple[str, ...] = ()
    for count, member in enumerate(members, 1):
        if count > limits.entries:
            raise refuse(f"more than {limits.entries} entries", member.name, hint=TOO_MUCH)
        parts = tuple(member.name.split("/")) if member.name else ()
        top = _common_top(top, parts, member, strip)
        if len(parts) <= strip:
            continue
        name = "/".join(parts[strip:])
        if name in tree:
            raise refuse("name stands twice", member.name)
        tree[name] = replace(member, name=name)
        total += member.size
        if total > limits.total_bytes:
            raise refuse(f"more than {limits.total_bytes} bytes", member.name, hint=TOO_MUCH)
    if not tree:
        raise InputError("archive refused: it holds nothing")
    for member in tree.values():
        _check_place(member, tree)
    return tuple(sorted(tree.values(), key=lambda member: member.name.encode()))


def _common_top(
    top: tuple[str, ...], parts: tuple[str, ...], member: Member, strip: int
) -> tuple[str, ...]:
    """Return the leading parts to strip, known so far; raise InputError for other ones."""
    if len(parts) <= strip and member.kind is not Kind.FOLDER:
        raise refuse("file lies above the stripped folder", member.name, hint="set strip = 0")
    if len(parts) < strip:
        return top
    if top not in {(), parts[:strip]}:
        raise refuse("no common folder to strip", member.name, hint="set strip = 0")
    return parts[:strip]


def _check_place(member: Member, tree: dict[str, Member]) -> None:
    parents = member.name.split("/")[:-1]
    for depth in range(1, len(parents) + 1):
        above = tree.get("/".join(parents[:depth]))
        if above is not None and above.kind is not Kind.FOLDER:
            raise refuse("lies below something that is not a folder", member.name)
    if member.kind is Kind.LINK:
        _check_link(member, len(parents))


def _check_link(member: Member, depth: int) -> None:
    _refuse_odd_characters(member.target)
    if not member.target or member.target.startswith("/"):
        raise refuse("link to an absolute or empty path", member.name)
    if len(member.target.encode()) > MAX_NAME_BYTES:
        raise refuse("link target is too long", member.name)
    parts = [part for part in member.target.split("/") if part not in {"", "."}]
    up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    if ".." in parts[up:]:
        raise refuse("link with '..' behind a folder", member.name)
    if up > depth:
        raise refuse("link leads out of the archive", member.name)
