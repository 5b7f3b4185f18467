"""Step 1, the root: what the person pinned, and what its owners made of it since.

A root counts for itself only when enough of its own owners signed it, and takes its
predecessor's place only when enough of *those* owners signed it as well (TUF
specification 1.0, section 5.3): fewer stolen owner keys than the threshold change
nothing.  Expiry is asked of the last version only.

    trusted = extend_root(open_root(pinned), next_version)
    require_unexpired(trusted, now)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import (
    Ed25519Public,
    Party,
    material_digests,
    parties_of,
    possible_keyids,
)
from relsign.crypto.signatures import verify_ed25519
from relsign.crypto.threshold import distinct_operators
from relsign.crypto.tuf import require_derived
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.names import Digest
from relsign.formats.policy import RevokedKey
from relsign.formats.root import Root, RootFile, parse_root
from relsign.formats.roster import Role
from relsign.verify.inclusion import check_log

MAX_ROTATIONS = 256
"""As TUF's reference client bounds one walk."""


class TrustedRoot(Value, frozen=True):
    """A root that enough of its owners signed and whose keys were checked."""

    root: Root
    parties: tuple[Party, ...]
    digest: Digest
    """SHA-256 of what was signed; its words are the root's."""
    data: bytes
    """The whole file."""

    def having(self, role: Role) -> tuple[Party, ...]:
        """Return the parties of a role."""
        return parties_of(self.parties, role)

    @property
    def statement_signers(self) -> tuple[Party, ...]:
        """Everybody whose signature on a statement says something: signers, release key."""
        return tuple(p for p in self.parties if {"signer", "release"} & set(p.roles))


def verify_root(data: bytes, now: datetime) -> TrustedRoot:
    """Return a root that holds by itself and has not expired at `now` (aware UTC).

    Raises what `open_root` and `require_unexpired` raise.
    """
    return require_unexpired(open_root(data), now)


def open_root(data: bytes) -> TrustedRoot:
    """Return a root that holds by itself, whatever the day.

    Checked: canonical form, TUF's part, keys, twins, thresholds the listed people can
    meet, signatures of enough of its own owners.  Raises InputError, NotEnoughError for
    missing signatures, or VerificationError when one of too few is false.
    """
    file = parse_root(data)
    parties = check_root(file.signed)
    trusted = TrustedRoot(file.signed, parties, sha256_hex(file.signed.to_bytes()), data)
    _require_owners(file, trusted, "its own owners")
    return trusted


def extend_root(trusted: TrustedRoot, data: bytes) -> TrustedRoot:
    """Return the next version of a root.

    It must be version N+1 of the same project, signed by the thresholds of N and of
    itself.  Raises VerificationError, NotEnoughError or InputError.
    """
    following = open_root(data)
    old, new = trusted.root, following.root
    if new.project != old.project:
        raise VerificationError(
            "a root of another project", where="root.json", expected=old.project, got=new.project
        )
    if new.version != old.version + 1:
        raise VerificationError(
            "not the next version of the root",
            where="root.json: version",
            expected=str(old.version + 1),
            got=str(new.version),
        )
    _require_owners(parse_root(data), trusted, f"the owners of version {old.version}")
    return following


def walk_roots(trusted: TrustedRoot, newer: Iterable[bytes]) -> TrustedRoot:
    """Return the last of several versions, each extending the one before.

    Versions up to the trusted one are passed over, so that a whole chain may be given.
    Raises as `extend_root` does, and VerificationError for too many.
    """
    newest, problem = follow_roots(trusted, newer)
    if problem is not None:
        raise problem
    return newest


def follow_roots(
    trusted: TrustedRoot, newer: Iterable[bytes]
) -> tuple[TrustedRoot, RelsignError | None]:
    """Return the last version that extends the ones before, and why the next one does not.

    What held is to be kept even where the walk ends badly: a root that takes a release
    back must not be forgotten because somebody put a false one behind it.
    """
    first = trusted.root.version
    for data in newer:
        try:
            if parse_root(data).signed.version <= trusted.root.version:
                continue
            if trusted.root.version - first >= MAX_ROTATIONS:
                raise VerificationError(
                    "too many versions of the root", expected=f"{MAX_ROTATIONS}"
                )
            trusted = extend_root(trusted, data)
        except RelsignError as error:
            return trusted, error
    return trusted, None


def require_unexpired(trusted: TrustedRoot, now: datetime) -> TrustedRoot:
    """Return the root; raise VerificationError if it has expired at `now`."""
    if now >= trusted.root.expires:
        raise VerificationError(
            "the trust root has expired",
            where="root.json: expires",
            got=trusted.root.expires.isoformat(),
            hint=f"get the next one: relsign trust refresh {trusted.root.project}",
        )
    return trusted


def check_root(root: Root) -> tuple[Party, ...]:
    """Return a root's parties; raise InputError for keys or thresholds that cannot stand."""
    parties = require_derived(root)
    needs: tuple[tuple[Role, int], ...] = (
        ("owner", root.thresholds.owners),
        ("signer", root.thresholds.signers),
        ("builder", root.thresholds.builders),
    )
    for role, threshold in needs:
        people = len(distinct_operators(parties_of(parties, role)))
        if threshold > people:
            raise InputError(
                f"threshold of {role}s is larger than the role",
                where=f"root.json: thresholds.{role}s",
                expected=f"at most {people}",
                got=str(threshold),
                hint="enrol more people, or lower the threshold",
            )
    organisations = {p.organisation for p in parties_of(parties, "builder")}
    if root.thresholds.organisations > len(organisations):
        raise InputError(
            "threshold of organisations is larger than the builders have",
            where="root.json: thresholds.organisations",
            expected=f"at most {len(organisations)}",
            got=str(root.thresholds.organisations),
        )
    if root.policy.release_key == "required" and not parties_of(parties, "release"):
        raise InputError(
            "the release key is required, and nobody holds the role release",
            where="root.json: release_key",
            hint="make one with `relsign ceremony new`, or leave release_key out of the policy",
        )
    _check_owners(parties_of(parties, "owner"))
    _refuse_revoked(root, parties)
    if root.policy.log is not None:
        check_log(root.policy.log, parties)
    return parties


def _check_owners(owners: tuple[Party, ...]) -> None:
    """Refuse two keys of one owner: TUF clients would count that person twice."""
    for number, one in enumerate(owners):
        for two in owners[number + 1 :]:
            if one.operator == two.operator:
                raise InputError(
                    f"{one.operator} holds two owner keys",
                    where="root.json",
                    got=f"{one.name} and {two.name}",
                    hint="one owner has one key: remove the other",
                )


def _refuse_revoked(root: Root, parties: tuple[Party, ...]) -> None:
    """Refuse a revoked key as whatever kind of key it is enrolled again."""
    revoked: dict[str, RevokedKey] = {}
    materials: dict[str, RevokedKey] = {}
    for key in root.policy.revoked_keys:
        revoked[key.keyid] = key
        if key.material_sha256 is not msgspec.UNSET:
            materials |= dict.fromkeys(key.material_sha256, key)
    if not revoked:
        return
    for party in parties:
        found = [revoked[keyid] for keyid in sorted(possible_keyids(party.key) & revoked.keys())]
        found += [materials[it] for it in material_digests(party.key) if it in materials]
        for key in found:
            raise InputError(
                f"the key of {party.name} is revoked: {key.reason}",
                where="root.json: members",
                got=party.name,
                hint="remove the member, or enrol a new key",
            )


def _require_owners(file: RootFile, trusted: TrustedRoot, whose: str) -> None:
    """Demand that enough owners of `trusted` signed `file`; each person counts once.

    A label that names an owner's key must hold that owner's signature: TUF clients go by
    it, so a false one is a contradiction where too few others signed.
    """
    message = file.signed.to_bytes()
    labels = {party.keyid: party for party in trusted.having("owner")}
    valid: list[Party] = []
    bad: list[str] = []
    for signature in file.signatures:
        party = labels.get(signature.keyid)
        if party is None or not isinstance(party.key, Ed25519Public):
            continue
        try:
            verify_ed25519(party.key, bytes.fromhex(signature.sig), message)
        except VerificationError as error:
            bad.append(f"{party.name}: {error.what}")
        else:
            valid.append(party)
    count, need = len(distinct_operators(tuple(valid))), trusted.root.thresholds.owners
    if count >= need:
        return
    missing = f"version {file.signed.version} is signed by {count} of {whose} (need {need})"
    if bad:
        raise VerificationError(f"{missing}; {bad[0]}", where="root.json: signatures")
    raise NotEnoughError(
        missing,
        where="root.json: signatures",
        hint="owners sign it with `relsign root sign --as NAME`",
    )
