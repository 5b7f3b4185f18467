"""OpenPGP certificates: which keys one person has said may sign data.

Decides by the rules of RFC 9580 for version 4 keys, as GnuPG does where it is
strict, and stricter where it is lenient:

* SHA-1 and older hashes carry no trust in self-signatures;
* a key may sign only if key flags in its newest self-signature say so;
* a revocation counts whatever its date, reason or hash, and so does one that
  names a designated revoker whose key is not here to check it.

Other people's certifications are not looked at: whom to trust is the roster's
to say.

    >>> parse_certificate(b"", "example.asc")
    Traceback (most recent call last):
        ...
    relsign.errors.InputError: example.asc: not an OpenPGP certificate (expected a public key)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

from relsign.crypto.openpgp_keys import (
    HASHES,
    REVOCATION_HASHES,
    Algorithm,
    KeyPacket,
    check_arithmetic,
    parse_key,
)
from relsign.crypto.openpgp_packets import (
    FIRST_NONCRITICAL_TAG,
    SUB_EMBEDDED,
    SUB_EXPIRES,
    SUB_KEY_EXPIRES,
    SUB_REVOCATION_KEY,
    TAG_MARKER,
    TAG_PADDING,
    TAG_PUBLIC_KEY,
    TAG_PUBLIC_SUBKEY,
    TAG_SIGNATURE,
    TAG_TRUST,
    TAG_USER_ATTRIBUTE,
    TAG_USER_ID,
    Packet,
    Signature,
    parse_signature,
    read_packets,
)
from relsign.errors import InputError, VerificationError

MAX_CERTIFICATE_BYTES = 1 << 20
MAX_USER_ID_BYTES = 2048

_CERTIFICATIONS = frozenset({0x10, 0x11, 0x12, 0x13})
_DIRECT_KEY = 0x1F
_SUBKEY_BINDING = 0x18
_PRIMARY_BINDING = 0x19
_KEY_REVOCATION = 0x20
_SUBKEY_REVOCATION = 0x28
_CERTIFICATION_REVOCATION = 0x30
_REVOCATIONS = frozenset({_KEY_REVOCATION, _SUBKEY_REVOCATION, _CERTIFICATION_REVOCATION})
_MAY_SIGN = 0x02
_VERSION_3 = 3
_COMPONENTS = frozenset({TAG_PUBLIC_SUBKEY, TAG_USER_ID, TAG_USER_ATTRIBUTE})
_SKIPPED = frozenset({TAG_MARKER, TAG_TRUST, TAG_PADDING})


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A primary key or subkey that its owner has said may sign data."""

    fingerprint: str
    """40 upper-case hexadecimal digits."""
    algorithm: Algorithm
    material: bytes
    """Ed25519: the 32 raw bytes.  RSA and ECDSA: DER SubjectPublicKeyInfo."""
    created_at: datetime
    expires_at: datetime | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """A transferable public key whose self-signatures have been verified."""

    fingerprint: str
    """The primary key's, 40 upper-case hexadecimal digits."""
    primary_material: bytes
    """The primary key's bytes, whether or not it may sign data."""
    user_ids: tuple[str, ...]
    """Self-certified and not revoked; anything but plain printable text is escaped."""
    created_at: datetime
    expires_at: datetime | None
    revoked: bool
    signing_keys: tuple[SigningKey, ...]

    @property
    def materials(self) -> frozenset[bytes]:
        """Bytes of the primary key and of every key that can sign, so that twins are seen."""
        return frozenset({self.primary_material, *(key.material for key in self.signing_keys)})


@dataclass(frozen=True, slots=True)
class _Component:
    """A key, user ID or user attribute, and the version 4 signatures that follow it."""

    packet: Packet
    signatures: tuple[Signature, ...]


def parse_certificate(data: bytes, where: str) -> Certificate:
    """Return the certificate that binary `data` holds (RFC 9580, 10.1).

    (1) The packets are one certificate.  (2) The primary key is acceptable.
    (3) It is revoked if any revocation says so.  (4) User IDs are those it has
    certified and not revoked since; at least one, or a direct-key signature.
    (5) Flags and expiry come from the newest self-signatures.  (6) A subkey may
    sign if its newest binding says so and the subkey agrees by a back-signature.
    Expiry and revocation refuse nothing here: they are kept for `verify_detached`.

    Raises InputError if any of (1), (2) and (4) fails.
    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise InputError(
            "certificate too large", where=where, expected=f"at most {MAX_CERTIFICATE_BYTES} bytes"
        )
    components = _read_components(data, where)  # (1)
    primary = parse_key(components[0].packet.body, where)  # (2)
    direct = _newest(
        s for s in components[0].signatures if _is_good(s, primary, primary.hashed, {_DIRECT_KEY})
    )
    user_ids, certifications = _user_ids(components, primary, where)  # (4)
    sources = [*([direct] if direct else []), *certifications]
    if not sources:
        raise InputError(
            "certificate has no valid self-signature",
            where=where,
            expected="a user ID certified with SHA-256 or stronger",
            hint="renew its self-signatures, for instance with `gpg --quick-set-expire`",
        )
    revoked = _is_revoked(components, primary, sources)  # (3)
    flags = next((s.key_flags for s in sources if s.key_flags is not None), 0)  # (5)
    expires = next((seconds for s in sources if (seconds := s.seconds(SUB_KEY_EXPIRES))), None)
    own = _signing_key(primary, expires, revoked=revoked)
    subkeys = (_subkey(c, primary) for c in components if c.packet.tag == TAG_PUBLIC_SUBKEY)  # (6)
    return Certificate(
        fingerprint=primary.fingerprint,
        primary_material=primary.material,
        user_ids=user_ids,
        created_at=own.created_at,
        expires_at=own.expires_at,
        revoked=revoked,
        signing_keys=(
            *((own,) if flags & _MAY_SIGN else ()),
            *(key for key in subkeys if key is not None),
        ),
    )


def split_certificates(data: bytes, where: str) -> tuple[bytes, ...]:
    """Return each certificate of a binary key ring, such as a project publishes, in order.

    Each is fit for `parse_certificate`.  Raises InputError for malformed packets, or
    if the first is not a public key.
    """
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise InputError(
            "key ring too large", where=where, expected=f"at most {MAX_CERTIFICATE_BYTES} bytes"
        )
    found: list[bytes] = []
    for packet in read_packets(data, where):
        if packet.tag == TAG_PUBLIC_KEY:
            found.append(packet.whole)
        elif found:
            found[-1] += packet.whole
        else:
            raise _not_a_certificate(where, f"packet type {packet.tag}")
    return tuple(found)


def _read_components(data: bytes, where: str) -> list[_Component]:
    groups: list[tuple[Packet, list[Signature]]] = []
    for packet in read_packets(data, where):
        if packet.tag in _SKIPPED or packet.tag >= FIRST_NONCRITICAL_TAG:
            continue
        if not groups:
            if packet.tag != TAG_PUBLIC_KEY:
                raise _not_a_certificate(where, f"packet type {packet.tag}")
            groups.append((packet, []))
        elif packet.tag == TAG_SIGNATURE:
            signature = parse_signature(packet.body, where)
            if signature is not None:
                groups[-1][1].append(signature)
            elif packet.body[:1] == bytes([_VERSION_3]) and packet.body[2:3] in _OLD_REVOCATIONS:
                raise InputError("certificate has a revocation of version 3", where=where)
        elif packet.tag in _COMPONENTS:
            groups.append((packet, []))
        else:
            raise InputError(
                "not one OpenPGP certificate", where=where, got=f"packet type {packet.tag}"
            )
    if not groups:
        raise _not_a_certificate(where, "")
    return [_Component(packet, tuple(signatures)) for packet, signatures in groups]


_OLD_REVOCATIONS = frozenset(bytes([kind]) for kind in _REVOCATIONS)


def _not_a_certificate(where: str, got: str) -> InputError:
    return InputError(
        "not an OpenPGP certificate",
        where=where,
        expected="a public key",
        got=got,
        hint="export it with `gpg --export FINGERPRINT`",
    )


def _is_good(
    signature: Signature, maker: KeyPacket, signed: bytes, kinds: AbstractSet[int]
) -> bool:
    """Say whether `maker` made a self-signature of one of `kinds` that counts."""
    if signature.kind not in kinds or not signature.may_be_by(maker.fingerprint):
        return False
    try:
        signature.check_understood()
        signature.seconds(SUB_KEY_EXPIRES)
        if signature.created < maker.created or signature.seconds(SUB_EXPIRES):
            return False
        check_arithmetic(signature, maker.algorithm, maker.material, signed, HASHES)
    except (InputError, VerificationError):
        # Anyone can append packets to a certificate: those that fail decide nothing.
        return False
    return True


def _is_revocation(signature: Signature, primary: KeyPacket, signed: bytes, kind: int) -> bool:
    """Say whether `primary` made a revocation, heeding old hashes and unknown parts too."""
    if signature.kind != kind or not signature.may_be_by(primary.fingerprint):
        return False
    try:
        check_arithmetic(signature, primary.algorithm, primary.material, signed, REVOCATION_HASHES)
    except (InputError, VerificationError):
        return False
    return True


def _newest(signatures: Iterable[Signature]) -> Signature | None:
    """Return the latest made; of two made in the same second, the later in the file."""
    ordered = sorted(signatures, key=lambda signature: signature.created)
    return ordered[-1] if ordered else None


def _user_ids(
    components: list[_Component], primary: KeyPacket, where: str
) -> tuple[tuple[str, ...], list[Signature]]:
    """Return the user IDs that hold and their newest self-certifications, newest first."""
    names: list[str] = []
    certifications: list[Signature] = []
    for component in components:
        body = component.packet.body
        if component.packet.tag != TAG_USER_ID:
            continue
        if len(body) > MAX_USER_ID_BYTES:
            raise InputError("user ID too long", where=where, got=f"{len(body)} bytes")
        signed = primary.hashed + b"\xb4" + len(body).to_bytes(4, "big") + body
        newest = _newest(
            s for s in component.signatures if _is_good(s, primary, signed, _CERTIFICATIONS)
        )
        if newest is None or _is_uid_revoked(component, primary, signed, newest):
            continue
        names.append(_printable(body))
        certifications.append(newest)
    certifications.sort(key=lambda signature: signature.created, reverse=True)
    return tuple(names), certifications


def _is_uid_revoked(
    component: _Component, primary: KeyPacket, signed: bytes, newest: Signature
) -> bool:
    """Say whether a revocation is undated or not older than the newest certification."""
    return any(
        _is_revocation(s, primary, signed, _CERTIFICATION_REVOCATION)
        and not _is_older(s, newest.created)
        for s in component.signatures
    )


def _is_older(signature: Signature, moment: int) -> bool:
    try:
        return signature.created < moment
    except VerificationError:
        return False


def _is_revoked(components: list[_Component], primary: KeyPacket, sources: list[Signature]) -> bool:
    """Say whether the primary key is revoked, by itself or perhaps by a designated revoker."""
    revokers = {
        item.body[-20:].hex().upper()
        for source in sources
        for item in source.hashed
        if item.kind == SUB_REVOCATION_KEY
    }
    for signature in (s for component in components for s in component.signatures):
        if signature.kind != _KEY_REVOCATION:
            continue
        if any(signature.issuers & {revoker, revoker[-16:]} for revoker in revokers):
            return True
        if _is_revocation(signature, primary, primary.hashed, _KEY_REVOCATION):
            return True
    return False


def _subkey(component: _Component, primary: KeyPacket) -> SigningKey | None:
    """Return the subkey if it may sign, or None; its back-signature proves it agreed."""
    try:
        subkey = parse_key(component.packet.body, "subkey")
    except InputError:
        # An encryption subkey, or one too weak to count: it cannot sign for us.
        return None
    both = primary.hashed + subkey.hashed
    newest = _newest(
        s for s in component.signatures if _is_good(s, primary, both, {_SUBKEY_BINDING})
    )
    if newest is None or not (newest.key_flags or 0) & _MAY_SIGN:
        return None
    if not any(_is_good(s, subkey, both, {_PRIMARY_BINDING}) for s in _embedded(newest)):
        return None
    revoked = any(
        _is_revocation(s, primary, both, _SUBKEY_REVOCATION) for s in component.signatures
    )
    return _signing_key(subkey, newest.seconds(SUB_KEY_EXPIRES), revoked=revoked)


def _embedded(signature: Signature) -> Iterator[Signature]:
    """Yield the signatures inside a signature: only a back-signature stands there."""
    for item in (*signature.hashed, *signature.unhashed):
        if item.kind == SUB_EMBEDDED:
            try:
                embedded = parse_signature(item.body, "back-signature")
            except InputError:
                continue
            if embedded is not None:
                yield embedded


def _signing_key(key: KeyPacket, valid_seconds: int | None, *, revoked: bool) -> SigningKey:
    return SigningKey(
        fingerprint=key.fingerprint,
        algorithm=key.algorithm,
        material=key.material,
        created_at=moment(key.created),
        expires_at=moment(key.created + valid_seconds) if valid_seconds else None,
        revoked=revoked,
    )


def moment(seconds: int) -> datetime:
    """Return an OpenPGP time, seconds since 1970, as an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)


def _printable(body: bytes) -> str:
    """Return a user ID as one line of text that cannot act on a terminal or pose as another."""
    text = body.decode("utf-8", "backslashreplace")
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
