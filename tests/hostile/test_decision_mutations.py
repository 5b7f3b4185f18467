"""The whole decision on 6,000 changed releases: no exception, and no other release VERIFIED."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import parse_envelope
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.verdict import Word
from tests.hostile.evidence import Meaning, read_bundle
from tests.hostile.mutate import Bytes, Tree
from tests.verify import releases
from tests.verify.releases import Release, link_files, make_root, sealed, signed_root

CASES = 1_000
"""Changed releases of each kind."""

OWNERS, SIGNERS = ("olga", "otto", "oona"), ("sam", "sven", "sara")
BUILDERS = ("builder-a", "builder-b", "builder-c")
Make = Callable[[], Question]


def good_question() -> Question:
    """Return a release with one signature and one builder more than it needs, and a newer root."""
    release = Release(owners=OWNERS, signers=SIGNERS, builders=BUILDERS)
    question = release.question()
    newer = {"2.root.json": signed_root(make_root(version=2))}
    return replace(question, bundle=make_bundle("demo", "1.0", release.files() | newer).to_bytes())


GOOD = good_question()
BUNDLE = releases.bundle_bytes(GOOD)
FILES = {n: base64.b64decode(t) for n, t in json.loads(BUNDLE)["files"].items()}
ROOTS = {json.dumps(json.loads(data)["signed"]) for data in (GOOD.root, FILES["2.root.json"])}
MEANING = read_bundle(BUNDLE)


def with_files(**changed: bytes) -> Question:
    """Return the question with some of the bundle's files replaced."""
    return replace(GOOD, bundle=make_bundle("demo", "1.0", FILES | changed).to_bytes())


def bundle_bytes() -> Make:
    make = Bytes(BUNDLE, "bundle").make
    return lambda: replace(GOOD, bundle=make())


def bundle_shape() -> Make:
    make = Tree(json.loads(BUNDLE), "bundle").make
    return lambda: replace(GOOD, bundle=make())


def file_bytes() -> Make:
    """Change one file inside the bundle, which is written well around it."""
    makers = [(name, Bytes(data, name).make) for name, data in FILES.items()]
    chance = random.Random("files")  # noqa: S311 - the same on every run

    def make() -> Question:
        name, change = chance.choice(makers)
        return with_files(**{name: change()})

    return make


def file_shape() -> Make:
    """Change one value of one file inside the bundle."""
    makers = [(name, Tree(json.loads(data), name).make) for name, data in FILES.items()]
    chance = random.Random("shapes")  # noqa: S311 - the same on every run

    def make() -> Question:
        name, change = chance.choice(makers)
        return with_files(**{name: change()})

    return make


def signed_by_one() -> Make:
    """Change one value of a payload and let one person who may sign it sign it again."""
    people = {STATEMENT_FILE: "sam", LAYOUT_FILE: "olga"}
    people |= {name: builder for builder in BUILDERS for name in _links_of(builder)}
    makers = [
        (name, who, Tree(json.loads(parse_envelope(FILES[name], name).payload), name).make)
        for name, who in people.items()
    ]
    chance = random.Random("one")  # noqa: S311 - the same on every run

    def make() -> Question:
        name, who, change = chance.choice(makers)
        envelope = parse_envelope(FILES[name], name)
        alone = parse_envelope(sealed(change(), [who]), name)
        kept = tuple(s for s in envelope.signatures if s.keyid != alone.signatures[0].keyid)
        return with_files(**{name: alone.with_signatures(kept).to_bytes()})

    return make


def _links_of(builder: str) -> dict[str, bytes]:
    return link_files(Release().fingerprint, builder)


def pinned_root() -> Make:
    """Change the pinned root, as bytes and as values."""
    makers = (Bytes(GOOD.root, "root").make, Tree(json.loads(GOOD.root), "root").make)
    chance = random.Random("root")  # noqa: S311 - the same on every run
    return lambda: replace(GOOD, root=chance.choice(makers)())


KINDS: dict[str, Callable[[], Make]] = {
    "bytes of the bundle": bundle_bytes,
    "values of the bundle": bundle_shape,
    "bytes of a file in it": file_bytes,
    "values of a file in it": file_shape,
    "a payload signed again by one": signed_by_one,
    "the pinned root": pinned_root,
}


def means_the_same(question: Question, decision: Decision) -> bool:
    """Say whether bundle and root still mean what they did when they were good."""
    assert isinstance(MEANING, Meaning)
    assert decision.root is not None
    return (
        json.dumps(json.loads(question.root)["signed"]) in ROOTS
        and json.dumps(json.loads(decision.root.data)["signed"]) in ROOTS
        and MEANING.holds(releases.bundle_bytes(question))
    )


def test_the_good_release_is_verified_and_means_itself() -> None:
    decision = decide(GOOD)
    assert decision.verdict.word is Word.VERIFIED, decision.verdict.rows
    assert means_the_same(GOOD, decision)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_release_is_never_another_one(kind: str) -> None:
    make = KINDS[kind]()
    words = dict.fromkeys(Word, 0)
    for _ in range(CASES):
        question = make()
        decision = decide(question)
        words[decision.verdict.word] += 1
        if decision.verdict.word is Word.VERIFIED:
            assert means_the_same(question, decision), (question.root, question.bundle)
        else:
            assert decision.release is None
    assert words[Word.REFUSED] > CASES // 10, words
    # What is dropped or ignored harmlessly is there too: the measure was asked.
    assert words[Word.VERIFIED] > 0, words


def unlabelled(envelope: bytes) -> bytes:
    """Return an envelope whose signatures have no label."""
    table = json.loads(envelope)
    table["signatures"] = [{"sig": entry["sig"]} for entry in table["signatures"]]
    return json.dumps(table).encode()


HARMLESS = {
    "a file more": {"notes.txt": b"\x1b[2J"},
    "a link of nobody": {"build.00000000.link": FILES[next(iter(_links_of("builder-a")))]},
    "a signature less": {STATEMENT_FILE: sealed(Release().statement().to_bytes(), SIGNERS[:2])},
    "another white space": {
        STATEMENT_FILE: json.dumps(json.loads(FILES[STATEMENT_FILE]), indent=2).encode()
    },
    "labels of nobody": {STATEMENT_FILE: unlabelled(FILES[STATEMENT_FILE])},
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_ignored_evidence(name: str) -> None:
    question = with_files(**HARMLESS[name])
    decision = decide(question)
    assert question.bundle != BUNDLE
    assert decision.verdict.word is Word.VERIFIED, decision.verdict.rows
    assert means_the_same(question, decision)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (STATEMENT_FILE, sealed(Release().statement().to_bytes(), ["sam", "olga"])),
        (STATEMENT_FILE, sealed(Release().compiled_layout().to_bytes(), SIGNERS)),
        ("linux.fingerprint.json", b"{}"),
    ],
)
def test_what_changes_the_meaning(name: str, data: bytes) -> None:
    """The measure itself sees a meaning that changed: else no test above could fail."""
    assert isinstance(MEANING, Meaning)
    question = with_files(**{name: data})
    assert not MEANING.holds(releases.bundle_bytes(question))
    assert decide(question).verdict.word is not Word.VERIFIED
