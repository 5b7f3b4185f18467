"""What a person expects of somebody else's DSSE envelope: whose keys, how many, of what build.

Written by hand, in TOML; never signed, never shipped beside what it judges.

    threshold = 2

    [[key]]
    name = "builder-a"
    operator = "alice"
    file = "keys/builder-a.pem"
    builder_ids = ["https://example.org/builder/a"]

    [[key]]
    name = "builder-b"
    operator = "bob"
    public = "ssh-ed25519 AAAA... bob@build"
    builder_ids = ["https://example.org/builder/b"]

    [slsa]
    build_type = "https://example.org/build/v1"
    external_parameters = { repository = "https://example.org/x.git", ref = "v1.0" }
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_toml, encode_canonical, shorten
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from relsign.formats.names import Name, refuse_repeats, shaped
from relsign.formats.policy import Threshold

MAX_KEYS = 64

Uri = Annotated[str, shaped("up to 1000 printable characters", r"[\x21-\x7e]{1,1000}")]
"""A type or identifier; compared letter by letter, never fetched."""

PayloadType = Annotated[str, shaped("up to 200 printable characters", r"[\x21-\x7e]{1,200}")]

Scheme = Literal["ed25519", "ecdsa-sha2-nistp256", "rsassa-pss-sha256", "rsa-pkcs1v15-sha256"]
"""How a signature is made, in securesystemslib's words."""


class KeyEntry(Document, frozen=True, kw_only=True):
    """One public key, who operates it, and for which builders it may speak."""

    name: Name
    operator: Name
    """The person or machine; several keys of one operator count once."""
    file: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    """Where the key lies, as seen from the policy's folder."""
    public: Annotated[str, Meta(min_length=1, max_length=16 << 10)] | None = None
    """The key itself."""
    scheme: Scheme | None = None
    """The one signature scheme to accept; an RSA key has two."""
    builder_ids: Annotated[tuple[Uri, ...], Meta(max_length=64)] = ()

    def __post_init__(self) -> None:
        """Refuse a key that stands nowhere, or in two places that may differ."""
        if (self.file is None) == (self.public is None):
            raise ValueError("a key has either `file` or `public`")
        refuse_repeats("builder id", self.builder_ids)


class SlsaExpectation(Document, frozen=True, kw_only=True):
    """The build that is acceptable; what it does not list must not be there."""

    build_type: Uri
    external_parameters: dict[str, object]

    def __post_init__(self) -> None:
        """Refuse values JSON has no form for: times, infinities, integers beyond 2**53."""
        try:
            json.dumps(self.external_parameters, allow_nan=False)
            encode_canonical(self.external_parameters)
        except (InputError, TypeError, ValueError) as error:
            raise ValueError(f"external_parameters: {shorten(str(error))}") from error


class DssePolicy(Document, frozen=True, kw_only=True):
    """A whole policy."""

    threshold: Threshold
    payload_type: PayloadType = INTOTO_PAYLOAD
    predicate_type: Uri | None = None
    key: Annotated[tuple[KeyEntry, ...], Meta(min_length=1, max_length=MAX_KEYS)]
    slsa: SlsaExpectation | None = None

    def __post_init__(self) -> None:
        """Refuse thresholds nobody can meet and expectations that contradict each other."""
        refuse_repeats("key", (k.name for k in self.key))
        operators = {k.operator for k in self.key}
        if len({o.casefold() for o in operators}) != len(operators):
            raise ValueError("two operators whose names differ only by case")
        if self.threshold > len(operators):
            raise ValueError("threshold is larger than the number of operators")
        self._check_provenance()
        if self.payload_type != INTOTO_PAYLOAD and self.predicate_type is not None:
            raise ValueError("predicate_type needs the payload type of in-toto")

    def _check_provenance(self) -> None:
        speakers = {k.operator for k in self.key if k.builder_ids}
        if not speakers and self.slsa is None:
            return
        if self.payload_type != INTOTO_PAYLOAD:
            raise ValueError("slsa and builder_ids need the payload type of in-toto")
        if self.predicate_type not in {None, SLSA_PROVENANCE}:
            raise ValueError("slsa and builder_ids need the predicate type of SLSA provenance v1")
        if self.threshold > len(speakers):
            raise ValueError("threshold is larger than the number of operators with builder_ids")


def parse_dsse_policy(data: bytes, where: str = "policy") -> DssePolicy:
    """Return the policy in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, DssePolicy, where)
