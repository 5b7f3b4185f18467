"""`relsign verify --explain`: a verdict replayed as lines a sceptical person can run.

For each row: what it promises in one sentence, and commands of stock tools that look at
the same files.  Nothing in them is believed because relsign says so: digests, keys and
signatures are taken from the root in hand and from the bundle again.  The commands show
each part; that all parts are asked for, and of enough different people, stays the
verifier's work (docs/how-to/check-a-verdict-by-hand.md says what they leave out).

Pure: a decision and the names of files in, lines out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from relsign.crypto.keys import EcdsaPublic, Ed25519Public, OpenPGPPublic, Party
from relsign.crypto.signatures import verify_by, verify_ed25519
from relsign.errors import InputError, RelsignError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE
from relsign.formats.canonical import encode_canonical
from relsign.formats.envelope import Envelope, Signature, parse_envelope
from relsign.formats.layout import Layout, parse_layout
from relsign.formats.link import StepName, link_file_name
from relsign.formats.root import parse_root
from relsign.formats.roster import Role
from relsign.trust import by_hand as hand
from relsign.verify.day import find_day
from relsign.verify.decision import Decision
from relsign.verify.release import Evidence
from relsign.verify.root import TrustedRoot, open_root
from relsign.verify.verdict import STEPS, Outcome

PROOF_FILE = "release.tlog-proof"
_SHOWN_STEPS: tuple[StepName, ...] = ("build", "check")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a decision lie, as paths for a shell."""

    artifact: str
    bundle: str
    root: str
    folder: str
    """What the lines make and write into: a name nobody could have guessed and taken."""
    publication: str | None = None
    """The folder of a whole publication, if it is there."""

    def safe(self) -> Places:
        """Return paths that no program takes for options."""
        whole = None if self.publication is None else hand.safe_path(self.publication)
        return Places(
            hand.safe_path(self.artifact),
            hand.safe_path(self.bundle),
            hand.safe_path(self.root),
            hand.safe_path(self.folder),
            whole,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the verdict: what it promises, and how to see it with other tools."""

    number: int
    """As in the verdict; 0 unpacks what the others look at."""
    name: str
    promise: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """A decision whose bundle and root could be read."""

    decision: Decision
    places: Places
    evidence: Evidence
    roots: tuple[TrustedRoot, ...]
    """From the pinned one to the newest."""
    judge: TrustedRoot
    """The root by whose keys the release was judged: the newest, or that of its day."""
    files: Mapping[str, bytes]
    """What of the bundle is looked at."""

    def at(self, name: str) -> str:
        """Return the path of an unpacked file."""
        return f"{self.places.folder}/{name}"

    def signed(self, root: TrustedRoot) -> str:
        """Return the path of a root's signed part."""
        return self.at(f"root-{root.root.version}.signed")

    def passed(self, number: int) -> bool:
        """Say whether a row of the verdict passed."""
        return self.decision.verdict.rows[number - 1].outcome is Outcome.PASS


def explain(
    decision: Decision, pinned: bytes, name: str, places: Places, now: datetime
) -> tuple[Step, ...]:
    """Return the steps that replay `decision` on the file published as `name`.

    `pinned` are the bytes of the root at `places.root`, the newest one in hand: later ones
    come from the bundle.  Where no root holds or no bundle can be read there is nothing to
    replay, and the steps say so.  Raises nothing.
    """
    if decision.evidence is None or decision.root is None:
        missing = "trust root that holds" if decision.root is None else "bundle that can be read"
        words = f"there is no {missing}, so nothing can be replayed"
        return tuple(Step(n, step, words) for n, step in enumerate(STEPS, 1))
    case = _open(decision, decision.evidence, decision.root, pinned, places.safe(), now)
    return (
        _prepare(case),
        _explain_root(case),
        _explain_bytes(case, name),
        _explain_signers(case),
        _explain_layout(case),
        _explain_builders(case, name),
        _explain_fingerprints(case),
        _explain_standing(case),
        _explain_log(case),
        Step(
            9,
            STEPS[8],
            f"nothing newer is out: no file here can show it; release "
            f"{case.evidence.statement.predicate.sequence} of this project is in your hands: "
            "compare the number with the project's page, over another connection",
        ),
    )


def _open(
    decision: Decision,
    evidence: Evidence,
    newest: TrustedRoot,
    pinned: bytes,
    places: Places,
    now: datetime,
) -> _Case:
    first = open_root(pinned)
    between = [
        open_root(data)
        for data in evidence.roots
        if first.root.version < parse_root(data).signed.version < newest.root.version
    ]
    last = [newest] if newest.root.version > first.root.version else []
    try:
        judge = find_day(newest, evidence, now).root
    except RelsignError:
        judge = newest
    names = {STATEMENT_FILE, LAYOUT_FILE, PROOF_FILE}
    names |= {f"{f.target}.fingerprint.json" for f in evidence.statement.predicate.fingerprints}
    names |= {link_file_name(s, p.keyid) for s in _SHOWN_STEPS for p in judge.having("builder")}
    files = {name: data for name, data in evidence.files.items() if name in names}
    return _Case(decision, places, evidence, (first, *between, *last), judge, files)


def _prepare(case: _Case) -> Step:
    places = case.places
    envelopes = {n: data for n, data in case.files.items() if n.endswith((".layout", ".statement"))}
    envelopes |= {name: data for name, data in case.files.items() if name.endswith(".link")}
    later = tuple(f"{r.root.version}.root.json" for r in _unpacked_roots(case))
    commands = [
        hand.make_folder(places.folder),
        hand.unpack_bundle(places.bundle, places.folder, (*sorted(case.files), *later)),
    ]
    for name in sorted(envelopes):
        envelope = _envelope(case, name)
        if envelope is not None:
            commands.append(hand.open_envelope(case.at(name)))
            commands.append(hand.encode_payload(case.at(name), envelope.payload_type))
    promise = "the bundle is unpacked; nothing in it is believed yet"
    return Step(0, "prepare", promise, tuple(commands))


def _unpacked_roots(case: _Case) -> tuple[TrustedRoot, ...]:
    """Return the roots that come out of the bundle: all but the pinned one."""
    later = case.roots[1:]
    known = {root.digest for root in case.roots}
    return later if case.judge.digest in known else (*later, case.judge)


def _explain_root(case: _Case) -> Step:
    first, newest = case.roots[0], case.roots[-1]
    commands = [
        hand.open_root(case.places.root, case.signed(first)),
        hand.has_digest(case.signed(first), first.digest),
    ]
    for root in _unpacked_roots(case):
        commands.append(
            hand.open_root(case.at(f"{root.root.version}.root.json"), case.signed(root))
        )
        commands.append(hand.has_digest(case.signed(root), root.digest))
    before = first
    for root in case.roots:
        commands += _owners_of(case, root, before)
        before = root
    if case.judge.digest != newest.digest:
        commands.append(hand.holds(case.signed(newest), case.judge.digest))
    expires = _moment(newest.root.expires)
    commands += [
        hand.holds(case.signed(newest), f'"expires":"{expires}"'),
        hand.not_yet(expires),
    ]
    promise = (
        f"the root in your hands is the one you pinned, SHA-256 {first.digest} (its twelve words "
        f"are the same number), {newest.root.thresholds.owners} of its owners signed it and "
        "every later version, and the last has not expired"
    )
    return Step(1, STEPS[0], promise, tuple(commands))


def _owners_of(case: _Case, root: TrustedRoot, before: TrustedRoot) -> list[str]:
    """Return the checks of a root's signatures, by its own owners and those before."""
    message = root.root.to_bytes()
    commands: list[str] = []
    for number, signature in enumerate(parse_root(root.data).signatures):
        for asked in (before, root):
            for owner in asked.having("owner"):
                if _holds(owner, bytes.fromhex(signature.sig), message):
                    file = f"{case.signed(root)}.{number}.sig"
                    commands += _check(case, asked, owner, file, case.signed(root))
    return list(dict.fromkeys(commands))


def _holds(party: Party, signature: bytes, message: bytes) -> bool:
    if not isinstance(party.key, Ed25519Public):
        return False
    try:
        verify_ed25519(party.key, signature, message)
    except VerificationError:
        return False
    return True


def _check(case: _Case, root: TrustedRoot, party: Party, signature: str, signed: str) -> list[str]:
    """Return the lines that take a key from a root and check one signature with it."""
    key, held = case.at(f"{party.name}.{party.keyid[:8]}"), case.signed(root)
    if isinstance(party.key, OpenPGPPublic):
        return [
            hand.write_certificate(held, party.name, f"{key}.pgp"),
            hand.verify_openpgp_by_hand(f"{key}.pgp", signature, signed),
        ]
    der = f"{key}.der"
    if isinstance(party.key, Ed25519Public):
        taken = hand.write_key(party.key.raw.hex(), der)
        checked = hand.verify_ed25519_by_hand(der, signature, signed)
    elif isinstance(party.key, EcdsaPublic):
        taken = hand.write_spki(held, party.name, der)
        checked = hand.verify_ecdsa_by_hand(der, signature, signed)
    else:
        taken = hand.write_spki(held, party.name, der)
        checked = hand.verify_rsa_by_hand(party.key.scheme, der, signature, signed)
    member = next(m for m in root.root.members if m.name == party.name)
    # Whole, so that operator and roles are seen to belong to this key.
    return [hand.holds(held, encode_canonical(member).decode()), taken, checked]


def _explain_bytes(case: _Case, name: str) -> Step:
    statement = case.at(f"{STATEMENT_FILE}.payload")
    digest = case.evidence.statement.digests().get(name)
    if digest is None:
        return Step(2, STEPS[1], f"{name} is not a name this release knows")
    subject = encode_canonical({"name": name, "digest": {"sha256": digest}}).decode()
    commands = [
        hand.has_digest(case.places.artifact, digest),
        hand.holds(statement, subject),
        hand.holds(statement, f'"project":"{case.judge.root.project}"'),
    ]
    promise = f"your file is the {name} that the release statement names, byte for byte"
    return Step(2, STEPS[1], promise, tuple(commands))


def _explain_signers(case: _Case) -> Step:
    judge = case.judge
    asked = [] if judge.root.policy.release_key == "optional" else judge.having("release")
    roles: tuple[Role, ...] = ("signer", "release") if asked else ("signer",)
    commands = _signatures(case, STATEMENT_FILE, *roles, trusted=case.passed(3))
    promise = f"{judge.root.thresholds.signers} different people of the root signed that statement"
    besides = "".join(f", and the release key {party.name} did too" for party in asked)
    return Step(3, STEPS[2], promise + besides, tuple(commands))


def _signatures(case: _Case, name: str, *roles: Role, trusted: bool) -> list[str]:
    """Return the checks of an envelope's signatures, each with the key that made it.

    Where the row did not pass, those that only claim to be of somebody are tried too, so
    that their failing can be seen.
    """
    envelope = _envelope(case, name)
    if envelope is None:
        return []
    commands: list[str] = []
    parties = [p for p in case.judge.parties if set(roles) & set(p.roles)]
    for number, signature in enumerate(envelope.signatures):
        maker = _maker(parties, signature, envelope, case.evidence.statement.predicate.released_at)
        if maker is None and not trusted:
            maker = next((p for p in parties if p.keyid == signature.keyid), None)
        if maker is not None:
            file = f"{case.at(name)}.{number}.sig"
            commands += _check(case, case.judge, maker, file, case.at(f"{name}.pae"))
    return commands


def _maker(
    parties: list[Party], signature: Signature, envelope: Envelope, at: datetime
) -> Party | None:
    for party in parties:
        try:
            verify_by(party, signature.sig, envelope.signed_bytes(), at)
        except (VerificationError, InputError):
            continue
        return party
    return None


def _envelope(case: _Case, name: str) -> Envelope | None:
    try:
        return parse_envelope(case.files[name], name)
    except (InputError, KeyError):
        return None


def _layout(case: _Case) -> Layout | None:
    envelope = _envelope(case, LAYOUT_FILE)
    try:
        return None if envelope is None else parse_layout(envelope.payload)
    except InputError:
        return None


def _explain_layout(case: _Case) -> Step:
    layout, predicate = _layout(case), case.evidence.statement.predicate
    if layout is None:
        return Step(4, STEPS[3], "the bundle holds no layout that can be read")
    payload = case.at(f"{LAYOUT_FILE}.payload")
    checks = _signatures(case, LAYOUT_FILE, "owner", trusted=case.passed(4))
    commands = [
        hand.has_digest(payload, predicate.layout_sha256),
        hand.holds(case.at(f"{STATEMENT_FILE}.payload"), predicate.layout_sha256),
        hand.holds(payload, layout.readme),
        hand.holds(payload, f'"expires":"{_moment(layout.expires)}"'),
        *checks,
    ]
    if case.judge.digest == case.roots[-1].digest:
        commands.append(hand.not_yet(_moment(layout.expires)))
        commands += _ask_in_toto(case, layout)
    promise = (
        f"{case.judge.root.thresholds.owners} owners laid down which builders of this release "
        "must agree, and the signers named that very layout"
    )
    return Step(4, STEPS[3], promise, tuple(commands))


def _ask_in_toto(case: _Case, layout: Layout) -> list[str]:
    """Return the question to in-toto's own verifier, where the whole publication is there."""
    publication, envelope = case.places.publication, _envelope(case, LAYOUT_FILE)
    if publication is None or envelope is None:
        return []
    owners = [
        maker
        for signature in envelope.signatures
        if (maker := _maker(list(case.judge.having("owner")), signature, envelope, layout.expires))
    ]
    names = [f"{owner.name}.{owner.keyid[:8]}" for owner in owners]
    pems = [hand.write_pem(case.at(f"{n}.der"), case.at(f"{n}.pem")) for n in names]
    keys = tuple(f"{name}.pem" for name in names)
    return [*pems, *hand.in_toto_verify(publication, case.places.folder, keys)]


def _explain_builders(case: _Case, name: str) -> Step:
    judge, release = case.judge.root, case.decision.release
    agreed = case.judge.having("builder") if release is None else release.builders
    digest = case.evidence.statement.digests().get(name, "")
    product = encode_canonical({name: {"sha256": digest}}).decode()[1:-1] if digest else ""
    commands: list[str] = []
    links: list[str] = []
    for builder in agreed:
        link = link_file_name("build", builder.keyid)
        if _envelope(case, link) is None:
            continue
        commands += _link_lines(case, link, product)
        commands.append(hand.list_products(case.at(link)))
        links.append(case.at(link))
    commands += [hand.same_products(links[0], other) for other in links[1:]]
    layout = _layout(case)
    checked = layout is not None and layout.has_checks
    if checked:
        # A check's link lists what was looked at in the same words as what was built.
        checks = [link_file_name("check", builder.keyid) for builder in agreed]
        for link in checks:
            commands += _link_lines(case, link, product) if _envelope(case, link) else []
    promise = (
        f"{judge.thresholds.builders} builders of {judge.thresholds.organisations} organisations "
        "say, each with an own key, that they made exactly these bytes"
        + (", and that the recipe's checks passed on them" if checked else "")
    )
    return Step(5, STEPS[4], promise, tuple(commands))


def _link_lines(case: _Case, link: str, entry: str) -> list[str]:
    """Return the lines that check a builder's signature and that its link lists a file."""
    lines = _signatures(case, link, "builder", trusted=case.passed(5))
    return [*lines, hand.holds(case.at(f"{link}.payload"), entry)] if entry else lines


def _explain_fingerprints(case: _Case) -> Step:
    layout, commands = _layout(case), list[str]()
    for named in case.evidence.statement.predicate.fingerprints:
        file = case.at(f"{named.target}.fingerprint.json")
        commands.append(hand.has_digest(file, named.sha256))
        commands.append(hand.holds(case.at(f"{STATEMENT_FILE}.payload"), named.sha256))
        if layout is not None:
            recipe = f'"recipe_sha256":"{layout.binding.recipe_sha256}"'
            commands.append(hand.holds(file, recipe))
    promise = "the fingerprints, which list every input, are the signed ones, of the owners' recipe"
    return Step(6, STEPS[5], promise, tuple(commands))


def _explain_standing(case: _Case) -> Step:
    predicate, digest = case.evidence.statement.predicate, case.evidence.statement_digest
    statement = case.at(f"{STATEMENT_FILE}.payload")
    commands = (
        hand.has_digest(statement, digest),
        hand.not_revoked(case.signed(case.roots[-1]), digest, predicate.version),
        hand.holds(statement, f'"sequence":{predicate.sequence}'),
    )
    promise = (
        "the owners did not take this release back, and its number is not below one you have seen"
    )
    return Step(7, STEPS[6], promise, commands)


def _explain_log(case: _Case) -> Step:
    if PROOF_FILE not in case.files:
        promise = "the release is in the project's log: the bundle holds no proof of it to look at"
        return Step(8, STEPS[7], promise)
    promise = (
        "the release is in the project's log, and its witnesses saw it: compare the checkpoint "
        "with one you got from the log or from a witness"
    )
    return Step(8, STEPS[7], promise, (hand.line("cat", case.at(PROOF_FILE)),))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
