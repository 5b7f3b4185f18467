"""People in memory who sign together, each hearing only part of what was said."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relsign.crypto.frost.group import Scalar, base, evaluate, identifier_of, scalar_of
from relsign.crypto.frost.signing import Nonces, SecretShare, make_nonces
from relsign.crypto.minisign import signature_file
from relsign.crypto.raw_signing import Sign
from relsign.formats.charter import Group, Holder
from relsign.formats.envelope import Envelope, Signature, pae
from relsign.formats.names import Digest
from relsign.formats.signing import (
    SIGNING_PAYLOAD,
    Commitments,
    SignatureShares,
    SigningRequest,
    parse_signing_message,
)
from relsign.sign.ceremony.hearing import Heard, hear
from relsign.sign.ceremony.moves import Move, make_commitments, make_shares, next_move
from relsign.sign.ceremony.outputs import Output
from relsign.sign.ceremony.session import Session, Standing, standing

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
MANIFEST = b"aa" * 32 + b"  demo.tar.gz\n"


def identity_of(name: str) -> Ed25519PrivateKey:
    """Return somebody's identity key, the same every time."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def raw_public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def deal_group(names: tuple[str, ...], threshold: int) -> tuple[Group, dict[str, SecretShare]]:
    """Return a group with shares of one polynomial, dealt by nobody who could keep them."""
    coefficients = [scalar_of(7919 * (number + 3) ** 9) for number in range(threshold)]
    shares: dict[str, SecretShare] = {}
    holders = []
    for name in sorted(names):
        raw = raw_public(identity_of(name))
        identifier = identifier_of(raw)
        share = SecretShare(identifier, evaluate(coefficients, identifier))
        shares[name] = share
        holders.append(
            Holder(
                name=name,
                identity=Digest(raw.hex()),
                verifying=Digest(base(Scalar(share.secret)).hex()),
            )
        )
    group = Group(
        project="demo",
        name="demo-release",
        role="release",
        key=Digest(base(coefficients[0]).hex()),
        threshold=threshold,
        holders=tuple(holders),
        user_id="Demo <demo@example.invalid>",
        created=NOW,
        ceremony=Digest("0" * 64),
        previous=None,
    )
    return group, shares


def _minisign(key: bytes) -> Callable[[Sign], bytes]:
    digest = hashlib.blake2b(MANIFEST).digest()
    return lambda sign: signature_file(sign, key, digest, "demo 1.0 SHA256SUMS")


def demo_session(group: Group) -> Session:
    """Return a session with one plain output and one whose second signature needs the first."""
    key = bytes.fromhex(group.key)
    outputs = (
        Output("statement", ("statement",), lambda sign: sign(pae("t", b"statement"))),
        Output("minisig", ("minisign.1", "minisign.2"), _minisign(key)),
    )
    request = SigningRequest(
        kind="release",
        project="demo",
        group=Digest(hashlib.sha256(group.to_bytes()).hexdigest()),
        subject=Digest("1" * 64),
        manifest=None,
        messages=Digest("2" * 64),
        at=NOW,
        namespace="file",
        slots=tuple(slot for output in outputs for slot in output.slots),
    )
    return Session(request, outputs, group)


@dataclass
class Signer:
    """One participant: a share, nonces that are used once, and what was heard so far."""

    name: str
    share: SecretShare
    session: Session
    rng: random.Random
    inbox: list[bytes] = field(default_factory=list)
    seeds: dict[tuple[int, str], tuple[bytes, bytes]] = field(default_factory=dict)
    burned: dict[tuple[int, int], Digest] = field(default_factory=dict)
    change: Callable[[SignatureShares], SignatureShares] = lambda message: message

    def heard(self) -> Heard[Commitments | SignatureShares]:
        return hear(
            self.inbox,
            SIGNING_PAYLOAD,
            parse_signing_message,
            self.session.group.identities(),
            self.session.place,
        )

    def stands(self) -> Standing:
        return standing(self.session, self.heard())

    def move(self, *, again: bool = False) -> Move:
        spent = dict(sorted(self.burned))
        return next_move(self.session, self.stands(), self.name, spent, again=again)

    def step(self, *, again: bool = False) -> tuple[Move, bytes | None]:
        """Do one thing; return what it was, and the message to publish."""
        move = self.move(again=again)
        if move.kind == "commit":
            return move, self.send(self.commitments(move.attempt))
        if move.kind == "answer":
            return move, self.send(self.answer(move))
        return move, None

    def commitments(self, attempt: int) -> Commitments:
        for slot in self.session.request.slots:
            seeds = (self.rng.randbytes(32), self.rng.randbytes(32))
            self.seeds.setdefault((attempt, slot), seeds)
        nonces = {slot: self._nonces(attempt, slot) for slot in self.session.request.slots}
        return make_commitments(self.session, attempt, self.name, self.share, nonces)

    def answer(self, move: Move) -> SignatureShares:
        assert move.package is not None
        digest = move.package.digest(move.round, move.messages)
        place = (move.attempt, move.round)
        assert place not in self.burned, "a nonce would be used twice"
        self.burned[place] = digest
        nonces = {slot: self._nonces(move.attempt, slot) for slot in move.messages}
        message = make_shares(self.session, self.stands(), move, self.name, self.share, nonces)
        return self.change(message)

    def send(self, message: Commitments | SignatureShares) -> bytes:
        return sealed(message, self.name)

    def _nonces(self, attempt: int, slot: str) -> Nonces:
        return make_nonces(self.share, *self.seeds[attempt, slot])


def sealed(message: Commitments | SignatureShares, signer: str) -> bytes:
    """Return a message in its envelope, signed by `signer`'s identity key."""
    payload = message.to_bytes()
    signature = identity_of(signer).sign(pae(SIGNING_PAYLOAD, payload))
    keyid = raw_public(identity_of(signer)).hex()[:8]
    return Envelope(
        payload=payload,
        payload_type=SIGNING_PAYLOAD,
        signatures=(Signature(keyid=keyid, sig=signature),),
    ).to_bytes()


def make_signers(
    names: tuple[str, ...], threshold: int, seed: int = 1
) -> tuple[Session, dict[str, Signer]]:
    """Return a session and its participants."""
    group, shares = deal_group(names, threshold)
    session = demo_session(group)
    rng = random.Random(seed)  # noqa: S311 - the same every time
    return session, {
        name: Signer(name, shares[name], session, random.Random(rng.random()))  # noqa: S311
        for name in sorted(names)
    }


def run_all(
    signers: Mapping[str, Signer], order: list[str], *, board: list[bytes] | None = None
) -> list[tuple[str, Move]]:
    """Let people come by in an order; each reads everything, says all it can, and goes."""
    said = [] if board is None else board
    moves: list[tuple[str, Move]] = []
    for name in order:
        signer = signers[name]
        while True:
            signer.inbox = list(said)
            move, message = signer.step()
            moves.append((name, move))
            if message is None:
                break
            said.append(message)
    return moves
