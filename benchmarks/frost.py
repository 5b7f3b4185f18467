"""What a threshold signature costs: 3 of 5, everybody's part of it, in one process."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from measure import show
from nacl.bindings import (
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from relsign.crypto.frost.dealer import unsafe_deal
from relsign.crypto.frost.group import wide_scalar
from relsign.crypto.frost.signing import (
    Commitment,
    GroupShares,
    SecretShare,
    aggregate,
    commit,
    make_nonces,
    sign_share,
)

THRESHOLD, PARTICIPANTS = 3, 5
ROUNDS, REPEATS = 15, 10
MOST_SECONDS = 0.010
MESSAGE = b"a release"

# The point multiplications that RFC 9591 asks of three signers and an aggregator: each signer
# makes two commitments and adds three binding parts, the aggregator adds three more and checks.
OF_BASE = 2 * THRESHOLD + 1
OF_POINT = THRESHOLD * THRESHOLD + THRESHOLD + 1


def measure(_: Path) -> None:
    """Print the rows of this subject."""
    ours, theirs, ratio = signing_times()
    sides = (f"{ours * 1000:.1f} ms", f"{theirs * 1000:.1f} ms")
    name = f"{THRESHOLD} of {PARTICIPANTS} sign, all parts / libsodium's multiplications"
    show(name, sides, ratio, 5.0)
    show(
        f"{THRESHOLD} of {PARTICIPANTS} sign, all parts / {MOST_SECONDS * 1000:.0f} ms",
        (sides[0], f"{MOST_SECONDS * 1000:.0f} ms"),
        ours / MOST_SECONDS,
        1.0,
    )


def signing_times() -> tuple[float, float, float]:
    """Return the CPU seconds of one signature, of its bare multiplications, and the ratio."""
    people = [wide_scalar(_seed(f"person {number}")) for number in range(PARTICIPANTS)]
    line = [_seed(f"line {number}") for number in range(1, THRESHOLD)]
    group, shares = unsafe_deal(wide_scalar(_seed("key")), THRESHOLD, people, line)
    signers = list(shares.values())[:THRESHOLD]
    scalar, point = signers[0].secret, group.key

    def bare() -> None:
        for _ in range(OF_BASE):
            crypto_scalarmult_ed25519_base_noclamp(scalar)
        for _ in range(OF_POINT):
            crypto_scalarmult_ed25519_noclamp(scalar, point)

    pairs = [(_seconds(lambda: sign(group, signers)), _seconds(bare)) for _ in range(ROUNDS)]
    return (
        statistics.median(ours for ours, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(ours / theirs for ours, theirs in pairs),
    )


def sign(group: GroupShares, signers: list[SecretShare]) -> bytes:
    """Sign once; like people on machines of their own, each reads the group and the list."""
    nonces = [make_nonces(each, _seed("hiding")[:32], _seed("binding")[:32]) for each in signers]
    sent = [commit(share, mine) for share, mine in zip(signers, nonces, strict=True)]
    answers = {
        share.identifier: sign_share(share, _read(group), mine, MESSAGE, _received(sent))
        for share, mine in zip(signers, nonces, strict=True)
    }
    return aggregate(_read(group), MESSAGE, _received(sent), answers)


def _read(group: GroupShares) -> GroupShares:
    return GroupShares(group.key, group.threshold, group.verifying)


def _received(sent: list[Commitment]) -> list[Commitment]:
    return [Commitment(each.identifier, each.hiding, each.binding) for each in sent]


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(REPEATS):
        work()
    return (time.process_time() - started) / REPEATS


def _seed(label: str) -> bytes:
    return hashlib.sha512(label.encode()).digest()
