"""npm's packages laid out as ``npm ci --ignore-scripts`` would lay them out.

Each tarball without its first folder, at every place the lock names, and the programs
it brings as links in the ``.bin`` beside it.  As npm does it: symbolic links in a
tarball are dropped, ``.gitignore`` becomes ``.npmignore``, programs are executable and
their first line has no carriage return.  Where two packages bring a program of one
name, the one nearer to the top wins, then the one first in the alphabet.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from relsign.build.archives.members import Kind, Member
from relsign.build.archives.tree import Tree
from relsign.build.inputs.npm import npm_file
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.lock import LockedNpm
from relsign.formats.npm_package import MAX_PACKAGE_BYTES, parse_programs
from relsign.system.files import READ_BYTES

NPM_FOLDER = "usr/lib/relsign/npm"
MANIFEST = "package.json"
_WINDOWS_FIRST_LINE = re.compile(rb"(#![^\n]+)\r\n")
FIRST_LINE_BYTES = 2048


def lay_out_npm(packages: Sequence[LockedNpm], store: Store, tree: Tree) -> None:
    """Put every package at its places; raises InputError naming the package at fault."""
    programs: dict[str, Mapping[str, str]] = {}
    origins: dict[str, str] = {}
    for package in packages:
        where = f"builder.lock: {npm_file(package)}"
        archive = tree.read_archive(store.path(package.sha256), 1, where=where)
        members = _as_npm_names(archive)
        brought = _programs(package.name, members, tree, where)
        members = [_fixed(m, tree) if m.name in brought.values() else m for m in members]
        for place in package.places:
            tree.add(members, f"{NPM_FOLDER}/{place}", where=where)
            programs[place] = brought
            origins[place] = where
    _link(programs, origins, tree)


def _as_npm_names(members: Sequence[Member]) -> list[Member]:
    files = {member.name for member in members}
    kept: list[Member] = []
    for member in members:
        folder, _, name = member.name.rpartition("/")
        if member.kind is Kind.LINK:
            continue
        if member.kind is Kind.FILE and name == ".gitignore":
            renamed = posixpath.join(folder, ".npmignore")
            if renamed not in files:
                kept.append(replace(member, name=renamed))
            continue
        kept.append(member)
    return kept


def _programs(name: str, members: Sequence[Member], tree: Tree, where: str) -> dict[str, str]:
    files = {member.name: member for member in members if member.kind is Kind.FILE}
    manifest = files.get(MANIFEST)
    if manifest is None or manifest.size > MAX_PACKAGE_BYTES:
        raise InputError(
            "package without a package.json, or too large a one",
            where=where,
            expected=f"at most {MAX_PACKAGE_BYTES} bytes",
            hint="lock another version of it, or leave it out",
        )
    given = parse_programs(tree.read(manifest), name, files, f"{where}: {MANIFEST}")
    # npm makes no link to what is not there either.
    return {program: file for program, file in given.items() if file in files}


def _fixed(member: Member, tree: Tree) -> Member:
    """Return a program's member made executable and startable."""
    runnable = replace(member, executable=True)
    head = tree.read(replace(member, size=min(member.size, FIRST_LINE_BYTES)))
    line = _WINDOWS_FIRST_LINE.match(head)
    if line is None:
        return runnable
    offset = tree.keep(line[1] + b"\n")
    # Piece by piece, behind each other: whoever packed it decides how large a program is.
    for start in range(line.end(), member.size, READ_BYTES):
        size = min(READ_BYTES, member.size - start)
        tree.keep(tree.read(replace(member, offset=member.offset + start, size=size)))
    return replace(runnable, offset=offset, size=member.size - 1)


def _link(
    programs: Mapping[str, Mapping[str, str]], origins: Mapping[str, str], tree: Tree
) -> None:
    linked: set[str] = set()
    # The order in which npm comes to them, which decides who wins.
    for place in sorted(programs, key=lambda place: (place.count("node_modules/"), place)):
        beside = place.rpartition("node_modules/")[0] + "node_modules/.bin"
        for program, file in sorted(programs[place].items()):
            link = f"{beside}/{program}"
            if link not in linked:
                linked.add(link)
                target = posixpath.relpath(f"{place}/{file}", beside)
                tree.add_link(f"{NPM_FOLDER}/{link}", target, where=origins[place])
