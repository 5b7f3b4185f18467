"""Private keys on this machine, one folder each, and the public card of each.

    FOLDER/NAME/member.toml     the public card: give it to the owners
    FOLDER/NAME/key.pem         an encrypted Ed25519 key, or
    FOLDER/NAME/gnupg/          a GnuPG home with an OpenPGP key

Folders are 0700 and private files 0600; a store that others can read is refused.
Whoever can write here can at worst make this machine sign with another key,
which the trust root does not know.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import tomlkit

from relsign.crypto.keys import Ed25519Public, Party, parse_member
from relsign.crypto.openpgp import parse_certificate
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import decode_value
from relsign.formats.roster import (
    Ed25519Key,
    Member,
    OpenPGPKey,
    Role,
    Roster,
    parse_roster,
)
from relsign.sign.signers.file import create_key_file, load_file_signer
from relsign.sign.signers.gnupg import create_gnupg_key, load_gnupg_signer
from relsign.sign.signers.interface import Signer
from relsign.system.files import make_folder, read_bounded, sync_folder, write_whole

MAX_CARD_BYTES = 1 << 18
CARD_FILE = "member.toml"


@dataclass(frozen=True, slots=True)
class KeyStore:
    """A folder of private keys."""

    folder: Path

    def card_file(self, name: str) -> Path:
        """Return where the public card of a key is."""
        return self.folder / name / CARD_FILE

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys here, sorted."""
        names = (path.parent.name for path in self.folder.glob(f"*/{CARD_FILE}"))
        return tuple(sorted(name for name in names if not name.startswith(".")))

    def create(
        self, wanted: Member, user_id: str, passphrase: bytes, expires_at: datetime | None
    ) -> Member:
        """Make a key and return its member card with the public key filled in.

        `wanted` gives name, operator, organisation, roles, and by its key's type
        the kind; `user_id` and `expires_at` are an OpenPGP key's.  Raises
        InputError if the name is taken; leaves nothing behind on failure.
        """
        home = self.folder / wanted.name
        if home.exists() or home.is_symlink():
            raise InputError(
                "a key of that name exists", where=os.fspath(home), hint="choose another name"
            )
        make_folder(self.folder, 0o700)
        # Made beside its place and moved there whole: a command that is killed half-way
        # leaves no half key under the name.
        staged = Path(tempfile.mkdtemp(prefix=f".{wanted.name[:40]}.", dir=self.folder))
        try:
            member = _make_key(staged, wanted, user_id, passphrase, expires_at)
            write_whole(staged / CARD_FILE, encode_members((member,)))
            staged.rename(home)
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        return member

    def member(self, name: str) -> Member:
        """Return the public card of a key; raise InputError if there is no such key."""
        return read_card(self.card_file(name), f"no key called {name} on this machine")

    def open(self, name: str, passphrase: bytes) -> Signer:
        """Return a signer for a key; raise InputError for a wrong passphrase or name."""
        member = self.member(name)
        home = self.folder / name
        if isinstance(member.key, Ed25519Key):
            signer = load_file_signer(home / "key.pem", passphrase)
            if signer.public.data.hex() != member.key.public:
                raise InputError("key file and card do not belong together", where=os.fspath(home))
            return signer
        party = parse_member(member, name)
        return load_gnupg_signer(home / "gnupg", party.keyid, passphrase)

    def open_as(self, party: Party, passphrase: bytes) -> Signer:
        """Return a signer for the key of the root's `party`; raise InputError if it is not its."""
        signer = self.open(party.name, passphrase)
        if not _belongs(signer, party):
            raise InputError(
                "your key is not the one in the trust root",
                where=os.fspath(self.folder / party.name),
                expected=party.keyid,
                hint="compare `relsign key show` with keys/roster.toml",
            )
        return signer


def _belongs(signer: Signer, party: Party) -> bool:
    public = signer.public
    if isinstance(party.key, Ed25519Public):
        return public.kind == "ed25519" and public.data == party.key.raw
    if public.kind != "openpgp":
        return False
    return (
        parse_certificate(public.data, party.name).fingerprint == party.key.certificate.fingerprint
    )


def _make_key(
    folder: Path, wanted: Member, user_id: str, passphrase: bytes, expires_at: datetime | None
) -> Member:
    """Make a private key in `folder`; return the card with its public half."""
    key: Ed25519Key | OpenPGPKey
    if isinstance(wanted.key, Ed25519Key):
        key = Ed25519Key(public=create_key_file(folder / "key.pem", passphrase).hex())
    else:
        data = create_gnupg_key(folder / "gnupg", user_id, passphrase, expires_at)
        key = OpenPGPKey(certificate=base64.b64encode(data).decode())
    member = Member(
        name=wanted.name,
        operator=wanted.operator,
        organisation=wanted.organisation,
        roles=wanted.roles,
        key=key,
    )
    parse_member(member, wanted.name)
    return member


def read_card(path: Path, missing: str) -> Member:
    """Return the one member in a card file.

    Raises InputError with `missing` if there is no such file, or if it holds
    anything but one member.
    """
    try:
        data = read_bounded(path, MAX_CARD_BYTES)
    except NotEnoughError as error:
        raise InputError(
            missing, where=os.fspath(path), hint="make one with `relsign key new NAME`"
        ) from error
    members = parse_roster(data, os.fspath(path)).member
    if len(members) != 1:
        raise InputError("not one key", where=os.fspath(path), got=str(len(members)))
    return members[0]


def encode_members(members: tuple[Member, ...]) -> bytes:
    """Return members as TOML tables, as they stand in a roster."""
    document = tomlkit.document()
    tables = tomlkit.aot()
    for member in members:
        tables.append(_table(member))
    document.append("member", tables)
    return tomlkit.dumps(document).encode()


def add_to_roster(roster: bytes, member: Member, where: str) -> bytes:
    """Return the roster with one more member, its comments and order kept.

    Raises InputError if the name is taken; keys are compared by the caller.
    """
    present: Roster = parse_roster(roster, where)
    if any(m.name == member.name for m in present.member):
        raise InputError(
            "a member of that name exists",
            where=where,
            got=member.name,
            hint="choose another name, or remove that member first",
        )
    text = roster.decode()
    gap = "" if not text.strip() else "\n"
    added = encode_members((member,)).decode()
    result = (text.rstrip("\n") + "\n" if text.strip() else text) + gap + added
    parse_roster(result.encode(), where)
    return result.encode()


def is_member(roster: bytes, member: Member, where: str) -> bool:
    """Say whether this very card is in the roster already; raise InputError for a bad roster."""
    return member in parse_roster(roster, where).member


def _table(member: Member) -> tomlkit.items.Table:
    table = tomlkit.table()
    table["name"] = member.name
    table["operator"] = member.operator
    table["organisation"] = member.organisation
    table["roles"] = list(member.roles)
    key = tomlkit.inline_table()
    if isinstance(member.key, Ed25519Key):
        key.update({"kind": "ed25519", "public": member.key.public})
    else:
        key.update({"kind": "openpgp", "certificate": member.key.certificate})
    table["key"] = key
    return table


def wanted_member(
    name: str, operator: str, organisation: str, roles: tuple[Role, ...], kind: str
) -> Member:
    """Return a member card whose key is still to be made; raise InputError for a bad name."""
    key: dict[str, str] = (
        {"kind": "openpgp", "certificate": "A" * 40}
        if kind == "openpgp"
        else {"kind": "ed25519", "public": "0" * 64}
    )
    fields = {
        "name": name,
        "operator": operator,
        "organisation": organisation,
        "roles": list(roles),
        "key": key,
    }
    member = decode_value(fields, Member, "key")
    if kind == "openpgp" and set(roles) != {"signer"}:
        raise InputError(
            "an OpenPGP key can only be a signer's",
            where="--kind",
            got=", ".join(roles),
            hint="use --kind ed25519 for builders and owners: in-toto cannot verify OpenPGP",
        )
    return member
