"""Private keys on this machine, one folder each, and the public card of each.

    FOLDER/NAME/member.toml     the public card: give it to the owners
    FOLDER/NAME/key.pem         an encrypted Ed25519, ECDSA or RSA key, or
    FOLDER/NAME/gnupg/          a GnuPG home with an OpenPGP key, or
    FOLDER/NAME/signer.toml     the URI of a key that is elsewhere (`relsign.sign.keys.uri`)

Folders are 0700 and private files 0600; links and files that others can open are refused.

Only its owner is trusted to write here.  Whoever else can, may put another key under a
name, which the trust root does not know; may read a passphrase that is typed next, by a
GnuPG home or a module of theirs; and may have a `signer.toml` name a library, which then
runs as this user, or an agent, which then sees what is signed.  So a hostile edit is as
bad as a stolen login, but it makes nobody else's signature.

No secret is read or made before `forbid_dumps` holds.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import tomlkit

from relsign.crypto.keys import OpenPGPPublic, Party, parse_member
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import decode_value, encode_canonical
from relsign.formats.roster import (
    EcdsaKey,
    Ed25519Key,
    Key,
    Member,
    OpenPGPKey,
    Role,
    Roster,
    RsaKey,
    RsaScheme,
    parse_roster,
)
from relsign.sign.keys.opening import GNUPG_FOLDER, asks_for, open_key
from relsign.sign.keys.passphrase import read_passphrase
from relsign.sign.keys.uri import (
    MAX_SIGNER_FILE_BYTES,
    FileUri,
    GnupgUri,
    KeyUri,
    parse_key_uri,
    parse_signer_file,
    signer_file,
)
from relsign.sign.signers.file import create_key_file
from relsign.sign.signers.gnupg import create_gnupg_key
from relsign.sign.signers.interface import PSS_SHA256, PublicIdentity, Signer
from relsign.system.files import host_error, make_folder, read_bounded, sync_folder, write_whole
from relsign.system.private import is_private_folder, read_private
from relsign.system.secrecy import forbid_dumps

MAX_CARD_BYTES = 1 << 18
CARD_FILE = "member.toml"
SIGNER_FILE = "signer.toml"
KEY_FILE = "key.pem"
TRIAL = b"relsign public card v1\n"
"""What a newly enrolled key signs first, before the canonical bytes of its own card."""
_OTHERS_WRITE = 0o022


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
        forbid_dumps()
        with self._new_folder(wanted.name) as staged:
            member = _make_key(staged, wanted, user_id, passphrase, expires_at)
            write_whole(staged / CARD_FILE, encode_members((member,)))
        return member

    def enrol(self, wanted: Member, uri: KeyUri, secret: bytes | None, scheme: RsaScheme) -> Member:
        """Take a key that is there already, at `uri`, and return its member card.

        `wanted` is as for `create`; its key is a placeholder of any kind.  The key signs
        its own card once, so that whoever enrols it is seen to hold it.  A file or
        a GnuPG home of relsign's own lies in the new key's folder before; anything else
        is left where it is, and ``signer.toml`` names it.  Raises InputError if the name
        is taken or the key is not acceptable, and as the back end does.
        """
        forbid_dumps()
        if isinstance(uri, FileUri) or (isinstance(uri, GnupgUri) and not uri.home):
            home = self._home(wanted.name)
            if self.card_file(wanted.name).exists():
                raise _taken(home)
            member = _try_key(wanted, uri, home, secret, scheme)
            _write_enrolled(home, uri, member)
            return member
        with self._new_folder(wanted.name) as staged:
            member = _try_key(wanted, uri, staged, secret, scheme)
            _write_enrolled(staged, uri, member)
        return member

    def member(self, name: str) -> Member:
        """Return the public card of a key; raise InputError if there is no such key."""
        return read_card(self.card_file(name), f"no key called {name} on this machine")

    def uri(self, name: str) -> KeyUri:
        """Return where a key is; raise InputError for a bad or open ``signer.toml``."""
        return self._place(self.member(name), name)

    def asks_for(self, name: str) -> str:
        """Return what to ask a person for before this key signs, or nothing."""
        return asks_for(self.uri(name), name)

    def open(self, name: str, passphrase: bytes | None) -> Signer:
        """Return a signer for a key; raise InputError for a wrong passphrase or name.

        `passphrase` is a token's PIN where the key is in one; None where nobody is asked.
        """
        forbid_dumps()
        member = self.member(name)
        home = self._home(name)
        uri = self._place(member, name)
        scheme = member.key.scheme if isinstance(member.key, RsaKey) else PSS_SHA256
        signer = open_key(uri, home, passphrase, scheme)
        if not _belongs(signer, parse_member(member, name)):
            raise InputError(
                "key and card do not belong together",
                where=os.fspath(home),
                got=uri.to_text(),
                hint="one of the two was replaced: restore both from your backup",
            )
        return signer

    def open_as(self, party: Party, passphrase: bytes | None) -> Signer:
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

    def open_for(self, party: Party, descriptor: int | None) -> Signer:
        """Return `open_as`, after asking for a passphrase or PIN where the key needs one.

        It is read from the open file descriptor if there is one, else a person is asked.
        """
        forbid_dumps()
        prompt = self.asks_for(party.name)
        asked = descriptor is not None or prompt
        secret = read_passphrase(prompt, descriptor=descriptor) if asked else None
        return self.open_as(party, secret)

    def _place(self, member: Member, name: str) -> KeyUri:
        file = self._home(name) / SIGNER_FILE
        try:
            data = read_private(file, SIGNER_FILE, MAX_SIGNER_FILE_BYTES)
        except NotEnoughError:
            if isinstance(member.key, OpenPGPKey):
                return GnupgUri(parse_member(member, name).keyid.upper())
            if not isinstance(member.key, Ed25519Key | EcdsaKey | RsaKey):
                # Raises: a group's key is nowhere.
                return parse_key_uri(f"frost:{name}", os.fspath(self.card_file(name)))
            return FileUri(KEY_FILE)
        return parse_signer_file(data, os.fspath(file))

    def _home(self, name: str) -> Path:
        """Return a key's folder, which nobody but this user may enter."""
        home = self.folder / name
        if not is_private_folder(home, "key folder"):
            raise InputError(
                f"no key called {name} on this machine",
                where=os.fspath(home),
                hint="make one with `relsign key new NAME`",
            )
        _refuse_shared(self.folder)
        return home

    @contextmanager
    def _new_folder(self, name: str) -> Iterator[Path]:
        """Make a key's folder beside its place, and move it there whole.

        A command that is killed half-way leaves no half key under the name.
        """
        home = self.folder / name
        if home.exists() or home.is_symlink():
            raise _taken(home)
        make_folder(self.folder, 0o700)
        _refuse_shared(self.folder)
        staged = Path(tempfile.mkdtemp(prefix=f".{name[:40]}.", dir=self.folder))
        try:
            yield staged
            staged.rename(home)
            sync_folder(self.folder)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise


def _taken(home: Path) -> InputError:
    return InputError(
        "a key of that name exists", where=os.fspath(home), hint="choose another name"
    )


def _refuse_shared(folder: Path) -> None:
    """Refuse a store that others can write: they could put another key's folder there."""
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise host_error(error, folder) from error
    if mode & _OTHERS_WRITE:
        raise InputError(
            "others can write in the key store",
            where=os.fspath(folder),
            expected="mode 700",
            got=f"mode {mode:o}",
            hint=f"see that nothing in it was replaced, then `chmod 700 {folder}`",
        )


def _belongs(signer: Signer, party: Party) -> bool:
    """Say whether a signer has the party's key, whatever certificate is around it."""
    held = parse_member(
        Member(
            name=party.name,
            operator=party.operator,
            organisation=party.organisation,
            roles=("signer",),
            key=_roster_key(signer.public),
        ),
        party.name,
    ).key
    if isinstance(held, OpenPGPPublic) and isinstance(party.key, OpenPGPPublic):
        # A subkey or an expiry that was added since then changes the certificate alone.
        return held.certificate.fingerprint == party.key.certificate.fingerprint
    return held == party.key


def _roster_key(public: PublicIdentity) -> Key:
    """Return a signer's public half as it stands in a roster."""
    if public.kind == "ed25519":
        return Ed25519Key(public=public.data.hex())
    text = base64.b64encode(public.data).decode("ascii")
    if public.kind == "openpgp":
        return OpenPGPKey(certificate=text)
    if public.kind == "ecdsa-p256":
        return EcdsaKey(public=text)
    return RsaKey(public=text, scheme=public.scheme or PSS_SHA256)


def _make_key(
    folder: Path, wanted: Member, user_id: str, passphrase: bytes, expires_at: datetime | None
) -> Member:
    """Make a private key in `folder`; return the card with its public half."""
    key = wanted.key
    file = folder / KEY_FILE
    if isinstance(key, OpenPGPKey):
        data = create_gnupg_key(folder / GNUPG_FOLDER, user_id, passphrase, expires_at)
        public = PublicIdentity("openpgp", data)
    elif isinstance(key, EcdsaKey):
        public = PublicIdentity("ecdsa-p256", create_key_file(file, passphrase, "ecdsa-p256"))
    elif isinstance(key, RsaKey):
        public = PublicIdentity("rsa", create_key_file(file, passphrase, "rsa"), key.scheme)
    else:
        public = PublicIdentity("ed25519", create_key_file(file, passphrase))
    return _card(wanted, public)


def _try_key(
    wanted: Member, uri: KeyUri, folder: Path, secret: bytes | None, scheme: RsaScheme
) -> Member:
    """Return the card of the key at a place, once the key has signed it."""
    signer = open_key(uri, folder, secret, scheme)
    member = _card(wanted, signer.public)
    # The back end checks what comes back; the signature itself is of no use to anybody.
    signer.sign(TRIAL + encode_canonical(member))
    return member


def _card(wanted: Member, public: PublicIdentity) -> Member:
    member = msgspec.structs.replace(wanted, key=_roster_key(public))
    parse_member(member, wanted.name)
    return member


def _write_enrolled(folder: Path, uri: KeyUri, member: Member) -> None:
    write_whole(folder / SIGNER_FILE, signer_file(uri), 0o600)
    # The card last: it is what makes the folder a key.
    write_whole(folder / CARD_FILE, encode_members((member,)))


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
    # Its `kind` comes first, and a field that is not set does not stand there.
    key.update(msgspec.to_builtins(member.key))
    table["key"] = key
    return table


def wanted_member(
    name: str,
    operator: str,
    organisation: str,
    roles: tuple[Role, ...],
    kind: str,
    scheme: RsaScheme = PSS_SHA256,
) -> Member:
    """Return a member card whose key is still to be made; raise InputError for a bad name.

    `scheme` is that of an RSA key.
    """
    placeholders: dict[str, dict[str, str]] = {
        "ed25519": {"public": "0" * 64},
        "ecdsa-p256": {"public": "A" * 40},
        "rsa": {"public": "A" * 40, "scheme": scheme},
        "openpgp": {"certificate": "A" * 40},
    }
    fields = {
        "name": name,
        "operator": operator,
        "organisation": organisation,
        "roles": list(roles),
        "key": {"kind": kind, **placeholders[kind]},
    }
    member = decode_value(fields, Member, "key")
    if kind != "ed25519" and set(roles) != {"signer"}:
        words = "OpenPGP key" if kind == "openpgp" else f"{kind} key"
        raise InputError(
            f"an {words} can only be a signer's",
            where="--kind",
            got=", ".join(roles),
            hint="use --kind ed25519 for the other roles: layouts, links and roots name those",
        )
    return member
