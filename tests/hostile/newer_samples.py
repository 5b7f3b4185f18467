"""A good document of every kind that belongs to logs, listings, pins, strangers and builders."""

from __future__ import annotations

import json

from relsign.crypto.openpgp_armor import armor
from relsign.crypto.spki import parse_key
from relsign.errors import HostError, InputError, RelsignError
from relsign.formats.canonical import encode_canonical
from relsign.formats.checkpoint import parse_checkpoint, parse_log_proof
from relsign.formats.commitment import parse_commitment, parse_held_build
from relsign.formats.dsse_policy import parse_dsse_policy
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.foreign_envelope import parse_foreign_envelope
from relsign.formats.foreign_statement import parse_foreign_statement, read_provenance
from relsign.formats.gnupg_text import read_file_statuses, read_key_listing
from relsign.formats.listing import parse_snapshot, parse_targets, parse_timestamp
from relsign.formats.log import parse_log_entry
from relsign.formats.memory import parse_memory
from relsign.formats.own_policy import parse_own_policy
from relsign.formats.pin import parse_pin
from relsign.formats.sums_manifest import parse_sums
from relsign.formats.sums_policy import parse_sums_policy
from relsign.verify.sums_people import read_key_file
from tests.crypto.openpgp_cases import PRIMARY, with_subkey
from tests.crypto.openpgp_maker import simple
from tests.crypto.stranger_keys import openssh, pem
from tests.formats import (
    test_checkpoint,
    test_commitment,
    test_dsse_policy,
    test_foreign_envelope,
    test_foreign_statement,
    test_listing,
    test_log,
    test_memory,
    test_own_policy,
    test_pin,
)
from tests.formats.samples import Sample, dump_toml
from tests.hostile import builder_samples

KEY = "A" * 40
STATUSES = "".join(
    f"[GNUPG:] {line}\n"
    for line in ("FILE_START 1 0", "NEWSIG", f"VALIDSIG {KEY} 2026 1 0 4", "FILE_DONE")
).encode()
LISTED = (
    f"tru::1:1:0:3:1:5\npub:e:255:22:X:1:99::-:::sc:\nfpr:::::::::{KEY}:\n"
    f"uid:e::::1::X::me::::\nsub:r:2048:1:Y:1::::::s:\nfpr:::::::::{'B' * 40}:\n"
).encode()
SUMS = f"{'a' * 64}  ./out/x.zip\n{'b' * 64} *y z.zip\r\n".encode()
SUMS_POLICY = b'threshold = 2\n[[builder]]\nname = "a"\n[[builder]]\nname = "b"\n'

CANONICAL = {
    "commitment": Sample(parse_commitment, test_commitment.COMMITMENT.to_bytes()),
    "held build": Sample(parse_held_build, test_commitment.HELD.to_bytes()),
    "timestamp": Sample(parse_timestamp, test_listing.TIMESTAMP.to_bytes()),
    "snapshot": Sample(parse_snapshot, test_listing.SNAPSHOT.to_bytes()),
    "targets": Sample(parse_targets, test_listing.TARGETS.to_bytes()),
    "log entry": Sample(parse_log_entry, encode_canonical(test_log.ENTRY)),
    "memory": Sample(parse_memory, test_memory.MEMORY.to_bytes()),
    "pin": Sample(parse_pin, test_pin.PIN.to_bytes()),
    **builder_samples.CANONICAL,
}
REVIEWABLE = builder_samples.REVIEWABLE
FOREIGN = {
    "foreign envelope": Sample(
        lambda data: parse_foreign_envelope(data, "t", payload_type=INTOTO_PAYLOAD),
        json.dumps(test_foreign_envelope.WHOLE).encode(),
    ),
    "foreign statement": Sample(
        lambda data: read_provenance(parse_foreign_statement(data, "t"), "t"),
        json.dumps(test_foreign_statement.WHOLE).encode(),
    ),
    **builder_samples.FOREIGN,
}
TABLES = {
    "own policy": Sample(parse_own_policy, test_own_policy.WHOLE),
    "policy for strangers": Sample(
        lambda data: parse_dsse_policy(data, "t"), dump_toml(test_dsse_policy.WHOLE)
    ),
    "policy for sums": Sample(parse_sums_policy, SUMS_POLICY),
    **builder_samples.TABLES,
}
TEXTS = {
    "checkpoint": Sample(parse_checkpoint, test_checkpoint.EXAMPLE.encode()),
    "proof of the log": Sample(parse_log_proof, test_checkpoint.PROOF.encode()),
    "sums": Sample(lambda data: parse_sums(data, "t"), SUMS),
    "key listing": Sample(read_key_listing, LISTED),
    "pem key": Sample(lambda data: parse_key(data, "t"), pem("ed1")),
    "pem rsa key": Sample(lambda data: parse_key(data, "t"), pem("rsa1")),
    "openssh key": Sample(lambda data: parse_key(data, "t"), openssh("ed1")),
    "openssh key on a curve": Sample(lambda data: parse_key(data, "t"), openssh("ec1")),
    "key file": Sample(lambda data: read_key_file(data, "t"), simple(PRIMARY) + with_subkey()),
    "armoured key file": Sample(
        lambda data: read_key_file(data, "t"), armor(simple(PRIMARY), "PUBLIC KEY BLOCK")
    ),
    **builder_samples.TEXTS,
}
NEVER_REFUSED = {"file statuses": Sample(read_file_statuses, STATUSES)}
"""What a program on this machine says: lines that are not understood are passed over."""

NEWER = {**CANONICAL, **REVIEWABLE, **FOREIGN, **TABLES, **TEXTS, **NEVER_REFUSED}


def may_raise(name: str) -> tuple[type[RelsignError], ...]:
    """Return the errors a reader may raise: a local program's own output is the machine's."""
    return (HostError,) if name == "key listing" else (InputError,)
