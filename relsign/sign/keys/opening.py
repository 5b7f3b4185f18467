"""From where a key is to something that signs with it: one back end per kind of place."""

from __future__ import annotations

from pathlib import Path

from relsign.errors import InputError
from relsign.formats.roster import RsaScheme
from relsign.sign.keys.uri import FileUri, GnupgUri, KeyUri, Pkcs11Uri, SshAgentUri
from relsign.sign.signers.interface import Signer

GNUPG_FOLDER = "gnupg"


def asks_for(uri: KeyUri, name: str) -> str:
    """Return what to ask a person for, before the key called `name` signs.

    Empty where nobody is asked here: an ssh-agent and the agent of a person's own GnuPG
    home ask for themselves.
    """
    if isinstance(uri, Pkcs11Uri):
        return f"PIN of the token {uri.token or uri.serial} for {name}"
    if isinstance(uri, SshAgentUri) or (isinstance(uri, GnupgUri) and uri.home):
        return ""
    return f"Passphrase for {name}"


def open_key(uri: KeyUri, folder: Path, secret: bytes | None, scheme: RsaScheme) -> Signer:
    """Return a signer for the key at a place.

    `folder` is the key's own; `secret` its passphrase or PIN; `scheme` how an RSA key
    signs.  Raises as the back end does, InputError if a secret is missing.
    """
    # Each is loaded only where a key lives there: gpg's and the token's libraries are slow.
    if isinstance(uri, SshAgentUri):
        from relsign.sign.signers.ssh_agent import load_ssh_agent_signer  # noqa: PLC0415

        return load_ssh_agent_signer(uri.fingerprint, Path(uri.socket) if uri.socket else None)
    if isinstance(uri, GnupgUri):
        from relsign.sign.signers.gnupg import GnupgHome, load_gnupg_signer  # noqa: PLC0415

        if uri.home:
            theirs = GnupgHome(Path(uri.home), is_persons_own=True)
            return load_gnupg_signer(theirs, uri.fingerprint, secret)
        return load_gnupg_signer(folder / GNUPG_FOLDER, uri.fingerprint, _required(secret, uri))
    if isinstance(uri, FileUri):
        from relsign.sign.signers.file import load_file_signer  # noqa: PLC0415

        return load_file_signer(folder / uri.name, _required(secret, uri), scheme)
    from relsign.sign.signers.pkcs11 import load_pkcs11_signer  # noqa: PLC0415

    return load_pkcs11_signer(uri, _required(secret, uri), scheme)


def _required(secret: bytes | None, uri: KeyUri) -> bytes:
    if secret is None:
        raise InputError(
            "no passphrase or PIN given",
            where=uri.to_text(),
            hint="type it when asked, or pass it with --passphrase-fd",
        )
    return secret
