"""One person at work: the identity key, and the passphrase of what lies in the vault."""

from __future__ import annotations

from dataclasses import dataclass, field

from relsign.crypto.keys import Ed25519Public, Party
from relsign.errors import InputError
from relsign.sign.exchanges.interface import Identity
from relsign.sign.groups.shares import Belongings, belongings_of
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.keys.passphrase import read_passphrase
from relsign.sign.keys.uri import FileUri
from relsign.sign.signers.interface import Signer
from relsign.system.secrecy import forbid_dumps


@dataclass(frozen=True, slots=True)
class OpenPerson:
    """A person whose key is open."""

    signer: Signer
    identity: Identity
    mine: Belongings
    passphrase: bytes = field(repr=False)
    """Of the vault."""


def open_person(store: KeyStore, party: Party, descriptor: int | None) -> OpenPerson:
    """Open a person's identity key and ask for the passphrase of its vault.

    A key in a file and the vault beside it have one passphrase.  Where the key is in a
    token or an agent, the vault's is asked for besides, or read as the next line of
    `descriptor`.  Raises InputError for a wrong passphrase, another key than `party`'s,
    or one that is not Ed25519.
    """
    if not isinstance(party.key, Ed25519Public):
        raise InputError(
            "not an ed25519 key",
            where=party.name,
            hint="ceremonies need one: make it with `relsign key new`",
        )
    forbid_dumps()
    prompt = store.asks_for(party.name)
    secret = read_passphrase(prompt, descriptor=descriptor) if prompt else None
    signer = store.open_as(party, secret)
    mine = belongings_of(store.folder, party.name)
    if secret is not None and isinstance(store.uri(party.name), FileUri):
        passphrase = secret
    else:
        passphrase = read_passphrase(
            f"Passphrase of {party.name}'s shares",
            descriptor=descriptor,
            twice=not mine.vault.names(),
        )
    identity = Identity(party.keyid, party.key.raw, signer.sign)
    return OpenPerson(signer, identity, mine, passphrase)
