"""What must hold of somebody else's envelope, with keys parsed and told apart by material."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relsign.crypto.spki import StrangerKey, parse_key
from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.dsse_policy import DssePolicy, SlsaExpectation
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.foreign_statement import SLSA_PROVENANCE


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key somebody decided to believe, whose it is, and for which builders."""

    name: str
    operator: str
    """Several keys of one operator count once."""
    key: StrangerKey
    builder_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Expectation:
    """Everything a decision is measured against; made by the two functions below."""

    keys: tuple[TrustedKey, ...]
    threshold: int
    payload_type: str
    predicate_type: str | None
    slsa: SlsaExpectation | None

    @property
    def operators(self) -> int:
        """How many people could sign."""
        return len({key.operator for key in self.keys})

    @property
    def asks_for_builder(self) -> bool:
        """Whether SLSA provenance is expected, and who may speak for which builder."""
        return any(key.builder_ids for key in self.keys)


def expect_policy(policy: DssePolicy, files: Mapping[str, bytes], where: str) -> Expectation:
    """Return what `policy` asks for; `files` holds the bytes of its keys' files, by path.

    Raises InputError for a bad key, a scheme that is not the key's, and for one key that
    stands there twice, in whatever form and under whatever name.
    """
    keys: list[TrustedKey] = []
    for number, entry in enumerate(policy.key):
        place = f"{where}: key[{number}]"
        data = files[entry.file] if entry.file is not None else (entry.public or "").encode()
        key = parse_key(data, f"{place}.public" if entry.file is None else f"{place}.file")
        if entry.scheme is not None:
            key = key.only(entry.scheme, f"{place}.scheme")
        for other in keys:
            if other.key.spki == key.spki:
                raise InputError(
                    "one key under two names",
                    where=where,
                    got=f"{other.name} and {entry.name}",
                    hint="remove one of the two: a key counts once",
                )
        keys.append(TrustedKey(entry.name, entry.operator, key, frozenset(entry.builder_ids)))
    wanted = SLSA_PROVENANCE if policy.slsa is not None else policy.predicate_type
    return Expectation(tuple(keys), policy.threshold, policy.payload_type, wanted, policy.slsa)


def expect_keys(
    keys: Mapping[str, bytes],
    threshold: int,
    payload_type: str = INTOTO_PAYLOAD,
    predicate_type: str | None = None,
    builders: Mapping[str, frozenset[str]] | None = None,
) -> Expectation:
    """Return what the words of a command line ask for: `keys` are name -> bytes of the file.

    A key that is given twice counts once.  `builders` gives the names of keys the builder
    ids they may speak for.  Raises InputError for a bad key, an empty payload type and a
    threshold that is not between 1 and the number of different keys.
    """
    spoken = builders or {}
    merged: dict[bytes, TrustedKey] = {}
    for name, data in keys.items():
        key = parse_key(data, name)
        known = merged.get(key.spki, TrustedKey(name, key.spki_sha256, key))
        ids = known.builder_ids | spoken.get(name, frozenset())
        merged[key.spki] = TrustedKey(known.name, known.operator, key, ids)
    if not payload_type:
        raise InputError(
            "no payload type",
            where="--payload-type",
            expected="the type you mean to trust",
            hint=f"leave it out for {INTOTO_PAYLOAD}",
        )
    count = sum(bool(key.builder_ids) for key in merged.values()) if spoken else len(merged)
    if not 1 <= threshold <= count:
        raise InputError(
            "threshold nobody can meet",
            where="--threshold",
            expected=f"1 to {count}, the number of different keys"
            + (" with a builder id" if spoken else ""),
            got=shorten(str(threshold)),
            hint="a key counts once, however often and in whatever form it is given",
        )
    if payload_type != INTOTO_PAYLOAD and (predicate_type is not None or spoken):
        raise InputError(
            "predicate type or builder id for a payload that has none",
            where="--payload-type",
            expected=INTOTO_PAYLOAD,
            got=shorten(payload_type),
            hint="leave out --predicate-type and --builder-id",
        )
    return Expectation(tuple(merged.values()), threshold, payload_type, predicate_type, None)
