"""Keys in tokens and hardware modules, through PKCS #11 3.0 and the module's own library.

The library is loaded into this process and can do whatever this user can: it is chosen
by an absolute path in the key's URI, and refused where others could have written it.
The PIN is asked for, kept while the signer is, and given to the library alone; it is
tried once per session and never again, because tokens count wrong ones and lock.
A call into the library cannot be ended from here: a token that hangs must be pulled.

What a token returns is used only after it verified against the public half.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.roster import RsaScheme
from relsign.sign.keys.uri import Pkcs11Uri
from relsign.sign.signers.interface import PSS_SHA256, PublicIdentity, check_signature
from relsign.system.files import host_error

if TYPE_CHECKING:
    from pkcs11 import Object, Session, Token
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - it is a class

_OTHERS_WRITE = 0o022
_HALF = 32
_ED25519_PARAMETERS = {
    bytes.fromhex("06032b6570"),
    b"\x13\x0cedwards25519",
    bytes.fromhex("06092b06010401da470f01"),
}
"""CKA_EC_PARAMS of Ed25519: its OID (RFC 8410), its name (PKCS #11 3.0), the older OID."""
_P256_PARAMETERS = bytes.fromhex("06082a8648ce3d030107")
_PIN_TROUBLE = {
    "PinIncorrect": "wrong PIN",
    "PinInvalid": "wrong PIN",
    "PinLenRange": "wrong PIN",
    "PinLocked": "the PIN is locked after too many wrong ones",
    "PinExpired": "the PIN has expired",
    "UserPinNotInitialized": "the token has no PIN yet",
}


@dataclass(frozen=True, slots=True)
class Pkcs11Signer:
    """A signer whose key stays in a token."""

    public: PublicIdentity
    _uri: Pkcs11Uri
    _pin: str = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the token's signature of `message`, in the form of `Signer.sign`.

        Raises InputError for a wrong PIN or a key that may not sign this way, HostError
        if the module or the token fails, VerificationError if what it made is wrong.
        """
        with _session(self._uri, self._pin) as session:
            key = _one_key(session, self._uri, private=True)
            made = _sign(key, self.public, message, self._pin, self._uri)
        if self.public.kind == "ecdsa-p256":
            made = _der(made, self._uri)
        check_signature(self.public, made, message)
        return made


def load_pkcs11_signer(uri: Pkcs11Uri, pin: bytes, scheme: RsaScheme) -> Pkcs11Signer:
    """Return a signer for the one key a URI names; `scheme` is that of an RSA key.

    Raises NotEnoughError if token or key are not there, InputError for a wrong PIN, a URI
    that names several keys, or a key of another kind, HostError if the module fails.
    """
    text = _text(pin)
    with _session(uri, text) as session:
        public = _identity(_one_key(session, uri, private=False), scheme, uri)
        _one_key(session, uri, private=True)
    return Pkcs11Signer(public, uri, text)


def _text(pin: bytes) -> str:
    try:
        return pin.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("PIN is not UTF-8", hint="type it in a UTF-8 terminal") from error


@contextlib.contextmanager
def _session(uri: Pkcs11Uri, pin: str) -> Iterator[Session]:
    """Open a session on the one token a URI names, logged in, and close it again."""
    where = uri.to_text()
    _check_module(Path(uri.module))
    try:
        import pkcs11  # noqa: PLC0415 - only few people have a token
    except ImportError as error:
        raise HostError(
            "python-pkcs11 is not installed", hint="pip install 'relsign[hsm]'"
        ) from error
    try:
        library = pkcs11.lib(uri.module)
        with _one_token(library, uri).open(user_pin=pin) as session:
            yield session
    except RuntimeError as error:
        # All that the binding raises: its PKCS11Error, and plain ones while loading.
        raise _refusal(error, where) from error


def _check_module(path: Path) -> None:
    """Refuse a library that another user could have written."""
    try:
        status = path.stat()
    except OSError as error:
        raise host_error(error, path) from error
    safe_owner = status.st_uid in {0, os.geteuid()}
    if not stat.S_ISREG(status.st_mode) or not safe_owner or status.st_mode & _OTHERS_WRITE:
        raise InputError(
            "not a module that may be loaded",
            where=os.fspath(path),
            expected="a file that only root or you can write",
            got=f"mode {stat.S_IMODE(status.st_mode):o}, user {status.st_uid}",
            hint="name the library your token's package installed",
        )


def _one_token(library: Library, uri: Pkcs11Uri) -> Token:
    label, serial = uri.token or None, uri.serial.encode() or None
    tokens = list(library.get_tokens(token_label=label, token_serial=serial))
    if not tokens:
        raise NotEnoughError(
            "no such token", where=uri.to_text(), hint="plug it in, and run this again"
        )
    if len(tokens) > 1:
        raise InputError(
            "several tokens of that name", where=uri.to_text(), hint="name its serial= in the URI"
        )
    return tokens[0]


def _one_key(session: Session, uri: Pkcs11Uri, *, private: bool) -> Object:
    from pkcs11 import Attribute, ObjectClass  # noqa: PLC0415

    wanted: dict[Attribute, object] = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY if private else ObjectClass.PUBLIC_KEY
    }
    if uri.object:
        wanted[Attribute.LABEL] = uri.object
    if uri.id:
        wanted[Attribute.ID] = uri.id
    found = list(session.get_objects(wanted))
    what = "private key" if private else "public key"
    if not found:
        raise NotEnoughError(
            f"the token has no such {what}",
            where=uri.to_text(),
            hint="a key needs both halves there, with the same label and id",
        )
    if len(found) > 1:
        raise InputError(
            f"the token has several such {what}s",
            where=uri.to_text(),
            hint="name its id= in the URI, as `pkcs11-tool -O` or `p11tool --list-all` show it",
        )
    return found[0]


def _identity(key: Object, scheme: RsaScheme, uri: Pkcs11Uri) -> PublicIdentity:
    """Return the public half that a public key object holds."""
    from pkcs11 import Attribute, KeyType  # noqa: PLC0415

    kind = key[Attribute.KEY_TYPE]
    if kind == KeyType.RSA:
        modulus = int.from_bytes(bytes(key[Attribute.MODULUS]))
        exponent = int.from_bytes(bytes(key[Attribute.PUBLIC_EXPONENT]))
        try:
            public = RSAPublicNumbers(exponent, modulus).public_key()
        except ValueError as error:
            raise _not_a_key(uri, "RSA numbers that do not fit") from error
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return PublicIdentity("rsa", der, scheme)
    if kind not in {KeyType.EC, KeyType.EC_EDWARDS}:
        raise _not_a_key(uri, str(kind))
    parameters, point = bytes(key[Attribute.EC_PARAMS]), bytes(key[Attribute.EC_POINT])
    if kind == KeyType.EC_EDWARDS and parameters in _ED25519_PARAMETERS:
        return PublicIdentity("ed25519", _point(point, _HALF))
    if kind == KeyType.EC and parameters == _P256_PARAMETERS:
        return PublicIdentity("ecdsa-p256", _p256(_point(point, 2 * _HALF + 1), uri))
    raise _not_a_key(uri, f"curve {parameters.hex()[:40]}")


def _point(data: bytes, size: int) -> bytes:
    """Return a point out of its OCTET STRING; some tokens leave that away."""
    return data[2:] if data[:2] == bytes([4, size]) and len(data) == size + 2 else data


def _p256(point: bytes, uri: Pkcs11Uri) -> bytes:
    try:
        public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError as error:
        raise _not_a_key(uri, "a point that is not on P-256") from error
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _sign(key: Object, public: PublicIdentity, message: bytes, pin: str, uri: Pkcs11Uri) -> bytes:
    """Let a token sign, by the one mechanism that fits the key's kind and scheme."""
    from pkcs11 import MGF, Attribute, Mechanism, SignMixin  # noqa: PLC0415

    # The binding gives a key this class where the token says that it may sign.
    if not isinstance(key, SignMixin):
        raise InputError(
            "this key may not sign", where=uri.to_text(), hint="choose another key in the token"
        )
    more: dict[str, object] = {}
    if public.kind == "ed25519":
        mechanism = Mechanism.EDDSA
    elif public.kind == "ecdsa-p256":
        # Many tokens know ECDSA over a digest alone.
        mechanism, message = Mechanism.ECDSA, hashlib.sha256(message).digest()
    elif public.scheme == PSS_SHA256:
        mechanism = Mechanism.SHA256_RSA_PKCS_PSS
        more["mechanism_param"] = (Mechanism.SHA256, MGF.SHA256, hashlib.sha256().digest_size)
    else:
        mechanism = Mechanism.SHA512_RSA_PKCS
    # Some keys ask for the PIN before each signature (PIV's slot 9c).
    if key[Attribute.ALWAYS_AUTHENTICATE]:
        more["pin"] = pin
    return bytes(key.sign(message, mechanism=mechanism, **more))


def _der(raw: bytes, uri: Pkcs11Uri) -> bytes:
    """Return r and s, which a token gives as 32 bytes each, as ECDSA-Sig-Value (RFC 3279)."""
    if len(raw) != 2 * _HALF:
        raise HostError(
            "the token made no signature of P-256", where=uri.to_text(), got=f"{len(raw)} bytes"
        )
    return encode_dss_signature(int.from_bytes(raw[:_HALF]), int.from_bytes(raw[_HALF:]))


def _not_a_key(uri: Pkcs11Uri, got: str) -> InputError:
    return InputError(
        "not a kind of key that signs releases",
        where=uri.to_text(),
        expected="Ed25519, ECDSA P-256 or RSA",
        got=got,
        hint="make one of these in the token",
    )


def _refusal(error: RuntimeError, where: str) -> InputError | HostError:
    """Say why a module or token refused, and whether its user can mend that."""
    name = type(error).__name__
    if name in _PIN_TROUBLE:
        return InputError(
            _PIN_TROUBLE[name], where=where, hint="a token locks after a few wrong PINs: take care"
        )
    if name in {"MechanismInvalid", "MechanismParamInvalid", "KeyTypeInconsistent"}:
        return InputError(
            "the token cannot sign this way", where=where, got=name,
            hint="see its mechanisms, and enrol the key with another --scheme or make another key",
        )  # fmt: skip
    return HostError(
        "the PKCS #11 module failed",
        where=where,
        got=f"{name} {ascii(str(error))[1:-1][:100]}".strip(),
        hint="see whether the token is plugged in and its other tools work",
    )
