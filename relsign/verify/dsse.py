"""The decision on somebody else's envelope: whose keys signed it, and what it says of a file.

Seven rows, numbered here and in docs/how-to/verify-a-dsse-envelope.md:

1 envelope      it is one, and its payload has the type that was expected
2 signers       t different people signed exactly these bytes, by key material
3 statement     the verified payload is an in-toto statement of the expected predicate
4 subject       the files in hand are what it speaks of
5 builder       enough of the keys that signed may speak for the builder it names
6 build         build type and external parameters are the expected ones, and no others
7 dependencies  every input it lists carries a digest

The payload is parsed after row 2 and never before.  Labels of signatures decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from relsign.crypto.spki import SignedBytes, signed_bytes, verify_stranger
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import encode_canonical, shorten
from relsign.formats.dsse_policy import Scheme, SlsaExpectation
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope
from relsign.formats.foreign_envelope import parse_foreign_envelope
from relsign.formats.foreign_statement import (
    ForeignProvenance,
    ForeignStatement,
    parse_foreign_statement,
    read_provenance,
)
from relsign.verify.dsse_expectation import Expectation, TrustedKey
from relsign.verify.verdict import Outcome, Row, Word

DSSE_STEPS = (
    "envelope",
    "signers",
    "statement",
    "subject",
    "builder",
    "build",
    "dependencies",
)
MAX_TRIES = 20_000
"""Signatures times keys that one file may cost."""
MAX_TRIED_BYTES = 1 << 30
"""Bytes hashed for Ed25519, which reads the whole payload at each try."""

T = TypeVar("T")
S = TypeVar("S")
_RANK = {Word.VERIFIED: 2, Word.NOT_ENOUGH: 1, Word.REFUSED: 0}


@dataclass(frozen=True, slots=True)
class DsseVerdict:
    """All seven rows, in order."""

    rows: tuple[Row, ...]

    @property
    def word(self) -> Word:
        """REFUSED if any row is, VERIFIED only if every row passed or is not required."""
        outcomes = {row.outcome for row in self.rows}
        if Outcome.REFUSED in outcomes:
            return Word.REFUSED
        if outcomes <= {Outcome.PASS, Outcome.NOT_REQUIRED}:
            return Word.VERIFIED
        return Word.NOT_ENOUGH


@dataclass(frozen=True, slots=True)
class DsseAnswer:
    """What one envelope came to, for the files it was the best evidence for."""

    line: int
    """The envelope's line in its file, from 1."""
    files: tuple[str, ...]
    verdict: DsseVerdict


@dataclass(frozen=True, slots=True)
class DsseDecision:
    """One answer, or several where a file of many envelopes speaks of several files."""

    answers: tuple[DsseAnswer, ...]

    @property
    def word(self) -> Word:
        """The worst of the answers: every file must be VERIFIED."""
        return min((a.verdict.word for a in self.answers), key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True)
class _Signer:
    """A key that signed, and how."""

    trusted: TrustedKey
    scheme: Scheme


@dataclass(frozen=True, slots=True)
class _Judged:
    """One envelope after every step but the subject's."""

    line: int
    rows: Mapping[str, Row]
    statement: ForeignStatement | None


@dataclass(slots=True)
class _Rows:
    """Rows as they come to be; an error of ours is a row, any other is a bug."""

    made: dict[str, Row] = field(default_factory=dict)

    def step(self, name: str, check: Callable[[], T], say: Callable[[T], Row]) -> T | None:
        """Run one check; keep its row; return its value, or None if it failed."""
        try:
            value = check()
            self.made[name] = say(value)
        except NotEnoughError as error:
            self.made[name] = _failed(name, Outcome.MISSING, error)
        except (InputError, VerificationError) as error:
            self.made[name] = _failed(name, Outcome.REFUSED, error)
        else:
            return value
        return None

    def not_required(self, name: str, text: str) -> None:
        """Keep a row for a step that nobody asked for."""
        self.made[name] = _row(name, Outcome.NOT_REQUIRED, text)


def decide_dsse(
    envelopes: tuple[tuple[int, bytes], ...], expectation: Expectation, files: Mapping[str, str]
) -> DsseDecision:
    """Take the decision on envelopes (line, bytes) about `files` (name -> SHA-256).

    Each envelope stands for itself: signatures of two lines are never added up.  For each
    file the best envelope answers; without files the best one does.  Raises InputError
    where trying all signatures would cost too much; whatever else is wrong becomes a row.
    """
    opened = [_open(line, data, expectation) for line, data in envelopes]
    _refuse_costly([case.envelope for case in opened if case.envelope], expectation)
    judged = [_judge(case, expectation) for case in opened]
    chosen: dict[int, list[str]] = {}
    for name in sorted(files) or [""]:
        one = {name: files[name]} if files else {}
        best = max(range(len(judged)), key=lambda n: (_score(judged[n], expectation, one), -n))
        chosen.setdefault(best, []).append(name)
    answers = []
    for number, names in sorted(chosen.items()):
        about = {name: files[name] for name in names if name in files}
        verdict = _complete(judged[number], expectation, about)
        answers.append(DsseAnswer(judged[number].line, tuple(about), verdict))
    return DsseDecision(tuple(answers))


@dataclass(frozen=True, slots=True)
class _Opened:
    """One envelope after step 1."""

    line: int
    rows: _Rows
    envelope: Envelope | None


def _open(line: int, data: bytes, expectation: Expectation) -> _Opened:
    rows = _Rows()
    kind = expectation.payload_type
    envelope = rows.step(  # 1
        "envelope",
        lambda: parse_foreign_envelope(data, f"line {line}", payload_type=kind),
        lambda e: _row("envelope", Outcome.PASS, f"{kind}, {len(e.payload)} bytes of payload"),
    )
    return _Opened(line, rows, envelope)


def _refuse_costly(envelopes: list[Envelope], expectation: Expectation) -> None:
    """Count before trying: junk signatures on a large payload must not cost minutes."""
    tries = tried = 0
    for envelope in envelopes:
        for signature in {s.sig for s in envelope.signatures}:
            fitting = [k.key for k in expectation.keys if k.key.fits(signature)]
            tries += len(fitting)
            tried += len(envelope.payload) * sum("ed25519" in key.schemes for key in fitting)
    if tries > MAX_TRIES or tried > MAX_TRIED_BYTES:
        raise InputError(
            "too many signatures to try",
            expected=f"at most {MAX_TRIES} tries over {MAX_TRIED_BYTES} bytes",
            got=f"{tries} tries over {tried} bytes",
            hint="keep the envelopes of one release and the keys you trust, no others",
        )


def _judge(opened: _Opened, expectation: Expectation) -> _Judged:
    rows, envelope = opened.rows, opened.envelope
    if envelope is None:
        return _Judged(opened.line, rows.made, None)
    known = envelope
    signers = rows.step(  # 2
        "signers",
        lambda: _count(known, expectation),
        lambda found: _say_signers(found, known, expectation),
    )
    if signers is None:
        return _Judged(opened.line, rows.made, None)
    if expectation.payload_type != INTOTO_PAYLOAD:
        for name in DSSE_STEPS[2:]:
            rows.not_required(name, "the payload is not in-toto's: only who signed was checked")
        return _Judged(opened.line, rows.made, None)
    statement = rows.step(  # 3
        "statement",
        lambda: _statement(known, expectation),
        lambda s: _row("statement", Outcome.PASS, f"predicate {shorten(s.predicateType)}"),
    )
    if statement is not None:
        _judge_build(rows, statement, signers, expectation)
    return _Judged(opened.line, rows.made, statement)


def _judge_build(
    rows: _Rows, statement: ForeignStatement, signers: tuple[_Signer, ...], wanted: Expectation
) -> None:
    if not wanted.asks_for_builder:
        for name in DSSE_STEPS[4:]:
            rows.not_required(name, "no builder was named: only who signed was checked")
        return
    provenance = rows.step(  # 5
        "builder",
        lambda: _builder(statement, signers, wanted),
        lambda p: _row("builder", Outcome.PASS, shorten(p.runDetails.builder.id)),
    )
    if provenance is None:
        return
    known, slsa = provenance, wanted.slsa
    if slsa is None:
        rows.not_required("build", "no build type and parameters were named (--policy)")
    else:
        expected = slsa
        rows.step("build", lambda: _build(known, expected), _say_build)  # 6
    rows.step("dependencies", lambda: _dependencies(known), _say_dependencies)  # 7


def _count(envelope: Envelope, expectation: Expectation) -> tuple[_Signer, ...]:
    """Step 2: try every signature with every key, whatever its label says."""
    message = signed_bytes(envelope.signed_bytes())
    signatures = dict.fromkeys(s.sig for s in envelope.signatures)
    found = []
    for trusted in expectation.keys:
        scheme = _scheme_of(trusted, tuple(signatures), message)
        if scheme is not None:
            found.append(_Signer(trusted, scheme))
    have, need = len({s.trusted.operator for s in found}), expectation.threshold
    if not found and signatures:
        raise VerificationError(
            "no signature is by a key you trust over these bytes",
            got=f"{len(signatures)} signatures",
            hint="it was changed, or others signed it: do not use what it speaks of",
        )
    if have < need:
        raise NotEnoughError(
            f"{have} of {expectation.operators} signed (need {need})"
            + "".join(f" {s.trusted.name}" for s in found),
            hint="ask for an envelope that more of them signed",
        )
    return tuple(found)


def _scheme_of(
    trusted: TrustedKey, signatures: tuple[bytes, ...], message: SignedBytes
) -> Scheme | None:
    for signature in signatures:
        try:
            return verify_stranger(trusted.key, signature, message)
        except VerificationError:
            continue
    return None


def _say_signers(signers: tuple[_Signer, ...], envelope: Envelope, expectation: Expectation) -> Row:
    people = {s.trusted.operator for s in signers}
    others = len({s.sig for s in envelope.signatures}) - len(signers)
    evidence = [
        f"{s.trusted.name}: {s.scheme}, key sha256 {s.trusted.key.spki_sha256}" for s in signers
    ]
    if others > 0:
        evidence.append(f"{others} more signatures, which were not counted")
    names = " ".join(s.trusted.name for s in signers)
    text = f"{len(people)} of {expectation.operators} signed (need {expectation.threshold})"
    return _row("signers", Outcome.PASS, f"{text}: {names}", evidence=tuple(evidence))


def _statement(envelope: Envelope, expectation: Expectation) -> ForeignStatement:
    """Step 3."""
    statement = parse_foreign_statement(envelope.payload, "payload")
    wanted = expectation.predicate_type
    if wanted is not None and statement.predicateType != wanted:
        raise VerificationError(
            "another predicate than expected",
            where="payload: predicateType",
            expected=shorten(wanted),
            got=shorten(statement.predicateType),
            hint="name the attestation that holds the predicate you look for",
        )
    return statement


def _subjects(statement: ForeignStatement, files: Mapping[str, str]) -> tuple[str, ...]:
    """Step 4: each file's digest is a subject's, and no subject gives its name another."""
    found = []
    for name, digest in files.items():
        named = [s for s in statement.subject if s.name == name]
        same = [s for s in statement.subject if s.sha256 == digest]
        if not same or any(s.sha256 != digest for s in named):
            raise VerificationError(
                "not a file this statement speaks of",
                where=shorten(name),
                expected=(named[0].sha256 or "another digest") if named else "one of its subjects",
                got=digest,
                hint="do not use it; download it again",
            )
        listed = "" if named else f", listed as {shorten(same[0].name) or 'a file without a name'}"
        found.append(f"{shorten(name)}: sha256 {digest}{listed}")
    return tuple(found)


def _builder(
    statement: ForeignStatement, signers: tuple[_Signer, ...], expectation: Expectation
) -> ForeignProvenance:
    """Step 5: a key's word on a builder counts only if the map gives it that builder."""
    provenance = read_provenance(statement, "payload")
    builder = provenance.runDetails.builder.id
    speakers = {s.trusted.operator for s in signers if builder in s.trusted.builder_ids}
    if len(speakers) < expectation.threshold:
        may = sorted({i for s in signers for i in s.trusted.builder_ids})
        raise VerificationError(
            f"{len(speakers)} of those who signed may speak for this builder "
            f"(need {expectation.threshold})",
            where="payload: runDetails.builder.id",
            expected=shorten(" or ".join(may) or "a builder of theirs"),
            got=shorten(builder),
            hint="do not use it unless you mean to trust these keys for that builder",
        )
    return provenance


def _build(provenance: ForeignProvenance, slsa: SlsaExpectation) -> ForeignProvenance:
    """Step 6: exactly the expected parameters; equal means equal RFC 8785 bytes."""
    definition = provenance.buildDefinition
    where = "payload: buildDefinition"
    if definition.buildType != slsa.build_type:
        raise _unexpected(f"{where}.buildType", slsa.build_type, definition.buildType)
    expected, got = slsa.external_parameters, definition.externalParameters
    for name in sorted(expected.keys() | got.keys()):
        place = f"{where}.externalParameters.{shorten(name)}"
        sides = [_as_text(table, name) for table in (expected, got)]
        if sides[0] != sides[1]:
            raise _unexpected(place, sides[0] or "not to be there", sides[1] or "nothing")
    return provenance


def _as_text(table: Mapping[str, object], name: str) -> str:
    return encode_canonical(table[name]).decode() if name in table else ""


def _unexpected(where: str, expected: str, got: str) -> VerificationError:
    return VerificationError(
        "not the build that was expected",
        where=where,
        expected=shorten(expected),
        got=shorten(got),
        hint="do not use it; if the build changed on purpose, change the policy first",
    )


def _say_build(provenance: ForeignProvenance) -> Row:
    definition = provenance.buildDefinition
    count = len(definition.externalParameters)
    text = f"{shorten(definition.buildType)}, {count} external parameters as expected"
    return _row("build", Outcome.PASS, text)


def _dependencies(provenance: ForeignProvenance) -> int:
    """Step 7."""
    listed = provenance.buildDefinition.resolvedDependencies
    for number, dependency in enumerate(listed):
        if not dependency.has_digest():
            raise VerificationError(
                "an input without a digest",
                where=f"payload: buildDefinition.resolvedDependencies[{number}]",
                got=shorten(dependency.uri or dependency.name or "no name"),
                hint="nobody can say what was built in: ask its builder to list digests",
            )
    return len(listed)


def _say_dependencies(count: int) -> Row:
    text = f"{count} inputs, each with a digest" if count else "none listed"
    return _row("dependencies", Outcome.PASS, text)


def _complete(judged: _Judged, wanted: Expectation, files: Mapping[str, str]) -> DsseVerdict:
    """Add the subject's row, and a row for every step that was not reached."""
    rows = _Rows(dict(judged.rows))
    statement = judged.statement
    if statement is not None:
        known = statement
        if files:
            rows.step("subject", lambda: _subjects(known, files), _say_subjects)  # 4
        elif wanted.slsa is None:
            rows.not_required("subject", "no file was named: only the envelope was checked")
        else:
            rows.step("subject", _no_file, _say_subjects)
    elif files and "subject" in rows.made:
        rows.step("subject", _no_subjects, _say_subjects)
    unreached = {n: _row(n, Outcome.NOT_REACHED, "not reached") for n in DSSE_STEPS}
    return DsseVerdict(tuple(rows.made.get(name, unreached[name]) for name in DSSE_STEPS))


def _no_file() -> tuple[str, ...]:
    raise NotEnoughError(
        "no file to compare with its subjects", hint="name what you downloaded with --subject"
    )


def _no_subjects() -> tuple[str, ...]:
    raise VerificationError(
        "a payload of this type speaks of no files",
        expected=INTOTO_PAYLOAD,
        hint="leave --subject out, or name the in-toto attestation of the file",
    )


def _say_subjects(found: tuple[str, ...]) -> Row:
    if len(found) == 1:
        return _row("subject", Outcome.PASS, found[0])
    return _row("subject", Outcome.PASS, f"{len(found)} files", evidence=found)


def _score(judged: _Judged, wanted: Expectation, files: Mapping[str, str]) -> tuple[int, int]:
    verdict = _complete(judged, wanted, files)
    passed = sum(row.outcome is Outcome.PASS for row in verdict.rows)
    return _RANK[verdict.word], passed


def _failed(name: str, outcome: Outcome, error: RelsignError) -> Row:
    hint = error.hint or "do not use it; ask its maker for an envelope without this fault"
    return _row(name, outcome, str(error), hint=hint)


def _row(
    name: str, outcome: Outcome, text: str, *, hint: str = "", evidence: tuple[str, ...] = ()
) -> Row:
    return Row(DSSE_STEPS.index(name) + 1, name, outcome, text, hint, evidence)
