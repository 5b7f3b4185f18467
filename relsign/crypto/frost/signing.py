"""Two rounds to one signature: commit to nonces, answer with shares, add them up (RFC 9591, 5).

Decides whether a commitment list may be answered and whose share is wrong; keeps
nothing.  That nonces answer once, ever, is the duty of `relsign.sign.groups.nonces`: they
come in as seeds, and a second answer under one seed gives the share away.

    group, share = ...                                     # from keygen or a vault
    nonces = make_nonces(share, seed_1, seed_2)            # seeds kept, fresh for each message
    mine = commit(share, nonces)                           # round 1: published
    answer = sign_share(share, group, nonces, message, commitments)        # round 2
    signature = aggregate(group, message, commitments, {mine.identifier: answer, ...})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relsign.crypto.frost.group import (
    Point,
    Scalar,
    Secret,
    add_points,
    base,
    blaming,
    check_seed,
    h1,
    h2,
    h3,
    h4,
    h5,
    interpolate,
    lagrange,
    multiply,
    parse_identifiers,
    parse_point,
    parse_scalar,
    parse_threshold,
    plus,
    times,
)
from relsign.crypto.keys import Ed25519Public
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from relsign.formats.canonical import Value


class SecretShare(Secret, frozen=True):
    """One participant's share of the group's secret key; never published, never shown."""

    identifier: bytes
    secret: bytes

    def __post_init__(self) -> None:
        """Raise VerificationError unless both are scalars."""
        parse_scalar(self.identifier, "share.identifier")
        parse_scalar(self.secret, "share.secret")

    @property
    def verifying(self) -> Point:
        """The point that everybody may know the share by."""
        return base(Scalar(self.secret))


class GroupShares(Value, frozen=True):
    """What everybody knows of a group: its key, its threshold, each verifying share."""

    key: bytes
    """Raw Ed25519 public key, 32 bytes."""
    threshold: int
    verifying: dict[bytes, bytes]
    """Verifying share by identifier: that of the secret share, times the base point."""

    def __post_init__(self) -> None:
        """Raise VerificationError for a bad point or identifier, InputError for a threshold."""
        parse_threshold(self.threshold, len(self.verifying), "group.threshold")
        parse_point(self.key, "group.key")
        parse_identifiers(self.verifying, "group.verifying")
        for each in self.verifying.values():
            parse_point(each, "group.verifying")


class Nonces(Secret, frozen=True):
    """The two secret nonces of one participant for one signature."""

    hiding: bytes
    binding: bytes

    def __post_init__(self) -> None:
        """Raise VerificationError unless both are scalars."""
        parse_scalar(self.hiding, "nonces.hiding")
        parse_scalar(self.binding, "nonces.binding")


class Commitment(Value, frozen=True):
    """What a participant publishes in round 1: its nonces, times the base point."""

    identifier: bytes
    hiding: bytes
    binding: bytes

    def __post_init__(self) -> None:
        """Raise CulpritError unless identifier and points are good."""
        with blaming(self.identifier):
            parse_scalar(self.identifier, "commitment.identifier")
            parse_point(self.hiding, "commitment.hiding")
            parse_point(self.binding, "commitment.binding")


class _Package(Value, frozen=True):
    """One message with its commitment list, and all that follows from them."""

    factors: dict[Scalar, Scalar]
    """Binding factor by identifier, ascending."""
    parts: dict[Scalar, Point]
    """Each participant's part of R: D + rho E."""
    point: Point
    """R, the group commitment."""
    challenge: Scalar


# --- the group ---------------------------------------------------------------------------------


def verify_group(group: GroupShares) -> None:
    """Check that a group's verifying shares make its key with exactly its threshold.

    They lie on one polynomial whose constant is the key, so any threshold of holders can
    sign; and its degree is no lower, so no fewer can.  A group that `keygen` or
    `resharing` made holds by construction; this is for one that was read.  Raises
    VerificationError if one does not.
    """
    points = {Scalar(each): Point(point) for each, point in group.verifying.items()}
    first = dict(list(points.items())[: group.threshold])
    fewer = dict(list(first.items())[:-1])
    others = {each: point for each, point in points.items() if each not in first}
    fits = interpolate(first) == group.key and all(
        interpolate(first, each) == point for each, point in others.items()
    )
    if not fits or (fewer and interpolate(fewer) == group.key):
        raise VerificationError(
            "the verifying shares do not make the group's key with its threshold",
            where="group.verifying",
            expected=group.key.hex(),
            hint="take the group's document from another participant and compare",
        )


# --- round 1 -----------------------------------------------------------------------------------


def make_nonces(share: SecretShare, hiding_seed: bytes, binding_seed: bytes) -> Nonces:
    """Return the nonces of two seeds of 32 random bytes (RFC 9591, 4.1).

    The share goes into them, so that a weak random source alone does not betray it.
    Raises InputError for a seed of another length, or one seed twice.
    """
    for seed in (hiding_seed, binding_seed):
        check_seed(seed)
    if hiding_seed == binding_seed:
        raise InputError(
            "one seed twice",
            expected="two independent seeds",
            hint="check the random source of this machine before you sign anything",
        )
    return Nonces(h3(hiding_seed + share.secret), h3(binding_seed + share.secret))


def commit(share: SecretShare, nonces: Nonces) -> Commitment:
    """Return what is published in round 1 (RFC 9591, 5.1)."""
    return Commitment(share.identifier, base(Scalar(nonces.hiding)), base(Scalar(nonces.binding)))


# --- round 2 -----------------------------------------------------------------------------------


def sign_share(
    share: SecretShare,
    group: GroupShares,
    nonces: Nonces,
    message: bytes,
    commitments: Sequence[Commitment],
) -> bytes:
    """Return this participant's signature share, a 32-byte scalar (RFC 9591, 5.2).

    (1) The share is this group's.  (2) The list is of a threshold or more of its
    participants, none twice.  (3) One's own commitment stands in it, as it was
    published.  Only then are the nonces used; they must never be used again.

    Raises VerificationError if (1) or (3) fails or the list has a stranger or a
    repeat, NotEnoughError if the list is too short.
    """
    mine = Scalar(share.identifier)
    if group.verifying.get(mine) != share.verifying:  # (1)
        raise VerificationError(
            "the share is not this group's",
            where="share",
            expected=group.verifying.get(mine, b"").hex() or "a participant of the group",
            got=share.verifying.hex(),
            hint="load the share of the latest ceremony: a refresh replaces it",
        )
    package = _package(group, message, commitments)  # (2)
    if commit(share, nonces) not in commitments:  # (3)
        raise VerificationError(
            "your own commitment is missing or altered",
            where="commitments",
            expected=commit(share, nonces).hiding.hex(),
            hint="burn these nonces and start a new attempt with another coordinator",
        )
    bound = times(Scalar(nonces.binding), package.factors[mine])
    factor = times(lagrange(mine, package.factors), package.challenge)
    return plus(Scalar(nonces.hiding), bound, times(factor, Scalar(share.secret)))


def verify_share(
    group: GroupShares,
    identifier: bytes,
    signature_share: bytes,
    message: bytes,
    commitments: Sequence[Commitment],
) -> None:
    """Check one signature share (RFC 9591, 5.4).

    Raises CulpritError if it does not hold for this message and this list;
    VerificationError or NotEnoughError for a list that cannot be signed.
    """
    _verify_share(group, _package(group, message, commitments), identifier, signature_share)


def aggregate(
    group: GroupShares,
    message: bytes,
    commitments: Sequence[Commitment],
    shares: Mapping[bytes, bytes],
) -> bytes:
    """Return the 64-byte Ed25519 signature that signature shares by identifier add up to.

    The whole is verified first (RFC 9591, 5.3), as any stock tool would; only where it
    fails are the shares tried, one by one.  Raises CulpritError naming every wrong
    share, NotEnoughError if one is missing or the list is too short, VerificationError
    for a stranger, a repeat, or a group whose shares do not make its key.
    """
    package = _package(group, message, commitments)
    if strange := set(shares) - set(package.factors):
        raise VerificationError(
            "a signature share of nobody in the list",
            where="shares",
            got=", ".join(sorted(each.hex() for each in strange)),
            hint="leave it out: the list was fixed before anyone answered",
        )
    if missing := [each.hex() for each in package.factors if each not in shares]:
        raise NotEnoughError(
            "signature shares are missing",
            where="shares",
            got=", ".join(missing),
            hint="wait for them, or start a new attempt without them",
        )
    try:
        parsed = [parse_scalar(each, "shares") for each in shares.values()]
        signature = package.point + plus(*parsed)
        verify_ed25519(Ed25519Public(group.key), signature, message)
    except VerificationError as error:
        _blame(group, package, shares)
        raise VerificationError(
            "every share holds and the signature does not: the group's document is wrong",
            where="group",
            hint="take the group's document from another participant and compare",
        ) from error
    return signature


def _blame(group: GroupShares, package: _Package, shares: Mapping[bytes, bytes]) -> None:
    """Raise CulpritError naming every participant whose share does not hold, if there is one."""
    culprits: list[str] = []
    for identifier in package.factors:
        try:
            _verify_share(group, package, identifier, shares[identifier])
        except CulpritError as error:
            culprits += error.culprits
    if culprits:
        raise _wrong_share(tuple(culprits))


def _verify_share(group: GroupShares, package: _Package, identifier: bytes, share: bytes) -> None:
    with blaming(identifier):
        mine, scalar = parse_scalar(identifier, "identifier"), parse_scalar(share, "share")
        factor = times(lagrange(mine, package.factors), package.challenge)
        owed = add_points(package.parts[mine], multiply(factor, Point(group.verifying[mine])))
    if base(scalar) != owed:
        raise _wrong_share((identifier.hex(),))


def _wrong_share(culprits: tuple[str, ...]) -> CulpritError:
    return CulpritError(
        "a signature share does not hold for this message and this list",
        culprits=culprits,
        where="shares",
        hint="start a new attempt without them, and ask them why: they signed something else",
    )


# --- what follows from a message and a list ----------------------------------------------------


def encode_commitments(commitments: Sequence[Commitment]) -> bytes:
    """Return the list as it is hashed: by ascending identifier (RFC 9591, 4.3)."""
    ordered = parse_identifiers([each.identifier for each in commitments], "commitments")
    found = {each.identifier: each for each in commitments}
    return b"".join(each + found[each].hiding + found[each].binding for each in ordered)


def binding_inputs(
    key: bytes, message: bytes, commitments: Sequence[Commitment]
) -> dict[Scalar, bytes]:
    """Return what each participant's binding factor is the H1 of (RFC 9591, 4.4)."""
    prefix = key + h4(message) + h5(encode_commitments(commitments))
    ordered = parse_identifiers([each.identifier for each in commitments], "commitments")
    return {each: prefix + each for each in ordered}


def _package(group: GroupShares, message: bytes, commitments: Sequence[Commitment]) -> _Package:
    """Return what follows; raise VerificationError or NotEnoughError for a bad list."""
    for each in commitments:
        if each.identifier not in group.verifying:
            raise VerificationError(
                "a commitment of nobody in the group",
                where="commitments",
                got=each.identifier.hex(),
                hint="ask for a list of the group's own participants",
            )
    inputs = binding_inputs(group.key, message, commitments)
    if len(inputs) < group.threshold:
        raise NotEnoughError(
            "too few commitments",
            where="commitments",
            expected=f"at least {group.threshold}",
            got=str(len(inputs)),
            hint="wait for more participants to commit",
        )
    factors = {each: h1(data) for each, data in inputs.items()}
    parts = {
        Scalar(each.identifier): add_points(
            Point(each.hiding),
            multiply(factors[Scalar(each.identifier)], Point(each.binding)),
        )
        for each in commitments
    }
    point = add_points(*parts.values())
    return _Package(factors, parts, point, h2(point + group.key + message))
