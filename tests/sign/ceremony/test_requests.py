"""What a group signs: no message of one format can be read as one of another.

One key signs for many formats, so a signature is good wherever its message makes sense.
Every message of every kind of request is held against what each format signs: it is of
exactly one kind.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey

from relsign.crypto import openpgp_make, signify, sshsig
from relsign.crypto.openpgp_cleartext import canonical_text
from relsign.errors import InputError
from relsign.formats.charter import Group
from relsign.formats.envelope import pae
from relsign.formats.layout import parse_layout
from relsign.formats.link import Sha256
from relsign.formats.manifest import encode_manifest, parse_manifest
from relsign.formats.names import Digest
from relsign.formats.recipe import Recipe, parse_recipe
from relsign.formats.root import RootFile, parse_root
from relsign.formats.statement import Statement, Subject, parse_statement
from relsign.sign.ceremony.outputs import finish, plan
from relsign.sign.ceremony.requests import (
    certificate_session,
    layout_session,
    release_session,
    renewal_session,
    revocation_session,
    root_session,
)
from relsign.sign.ceremony.session import Session
from tests.sign.ceremony.signers import NOW, deal_group
from tests.verify.releases import RECIPE, Release, group_root

KEY = SigningKey(b"k" * 32)
RAW = KEY.verify_key.encode()
LATER = NOW + timedelta(days=700)
DEALT, _SHARES = deal_group(("alice", "bob", "carol"), 2)
GROUP: Group = msgspec.structs.replace(DEALT, key=Digest(RAW.hex()))
GIT = (
    RECIPE.replace('kind = "archive"', 'kind = "git"')
    .replace('url = "https://example.invalid/demo.tar"', 'url = "https://example.invalid/d.git"')
    .replace('file = "demo.tar"', f'commit = "{"c" * 40}"')
)


def sign(message: bytes) -> bytes:
    return KEY.sign(message).signature


CERTIFICATE = openpgp_make.certificate(RAW, GROUP.user_id, GROUP.created, LATER, sign)
RELEASE = Release(released_at=NOW)
STATEMENT = RELEASE.statement()
LAYOUT = RELEASE.compiled_layout().to_bytes()
RECIPE_WITH_GIT: Recipe = parse_recipe(GIT.encode())

SESSIONS: dict[str, Session] = {
    "release": release_session(GROUP, CERTIFICATE, STATEMENT, RECIPE_WITH_GIT),
    "layout": layout_session(GROUP, LAYOUT, LATER),
    "root": root_session(GROUP, group_root()),
    "certificate": certificate_session(GROUP, LATER),
    "renewal": renewal_session(
        GROUP, CERTIFICATE, NOW + timedelta(days=1), LATER + timedelta(days=9)
    ),
    "revocation": revocation_session(GROUP),
}


def messages_of(session: Session) -> dict[str, bytes]:
    """Return slot -> the bytes that are signed, in every round."""
    made: dict[str, bytes] = {}
    said: dict[str, bytes] = {}
    while wanted := plan(session.outputs, made):
        said |= wanted
        made |= {slot: sign(message) for slot, message in wanted.items()}
    assert set(said) == set(session.request.slots)
    return said


MESSAGES = {
    (kind, slot): message
    for kind, session in SESSIONS.items()
    for slot, message in messages_of(session).items()
}

# --- what each format signs, as its readers take it -----------------------------------------


def dsse_payload(message: bytes) -> bytes:
    """Return the payload of what DSSE signs (its protocol, PAE); raise ValueError if it is none."""
    name, kind_size, rest = message.split(b" ", 2)
    _kind, rest = rest[: int(kind_size)], rest[int(kind_size) + 1 :]
    size, body = rest.split(b" ", 1)
    if name != b"DSSEv1" or int(size) != len(body):
        raise ValueError(message[:40])
    return body


def reads_as(parse: Callable[[bytes], object]) -> Callable[[bytes], bool]:
    def ask(message: bytes) -> bool:
        try:
            parse(message)
        except (InputError, ValueError):
            return False
        return True

    return ask


def is_sshsig(message: bytes) -> bool:
    """Say whether a message is as PROTOCOL.sshsig signs one."""
    if not message.startswith(b"SSHSIG"):
        return False
    rest, fields = message[6:], []
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        fields.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return len(fields) == 4


def is_global(message: bytes) -> bool:
    """Say whether a message is a signature of this key over a digest, and a trusted comment."""
    try:
        crypto_sign_open(message[:64] + MINISIGN_DIGEST, RAW)
    except (BadSignatureError, ValueError):
        return False
    return message[64:].isascii()


def parse_bare_root(message: bytes) -> object:
    return parse_root(b'{"signatures":[],"signed":%b}' % message)


MANIFEST = encode_manifest(STATEMENT.digests())
MINISIGN_DIGEST = hashlib.blake2b(MANIFEST).digest()
FORMATS: dict[str, Callable[[bytes], bool]] = {
    "64-byte digest": lambda message: len(message) == 64,
    "statement": reads_as(lambda message: parse_statement(dsse_payload(message))),
    "layout": reads_as(lambda message: parse_layout(dsse_payload(message), "layout")),
    "root": reads_as(parse_bare_root),
    "minisign comment": is_global,
    "sshsig": is_sshsig,
    "artifact list": reads_as(parse_manifest),
}
WANTED: dict[tuple[str, str], str] = {
    ("release", "statement"): "statement",
    ("release", "minisign.1"): "64-byte digest",
    ("release", "minisign.2"): "minisign comment",
    ("release", "sshsig"): "sshsig",
    ("release", "raw"): "artifact list",
    ("release", "openpgp"): "64-byte digest",
    ("release", "cleartext"): "64-byte digest",
    ("release", "tag"): "64-byte digest",
    ("layout", "layout"): "layout",
    ("root", "root"): "root",
    ("certificate", "certificate"): "64-byte digest",
    ("renewal", "certificate"): "64-byte digest",
    ("revocation", "revocation"): "64-byte digest",
}


def test_the_table_names_every_message_there_is() -> None:
    assert set(MESSAGES) == set(WANTED)


@pytest.mark.parametrize(("kind", "slot"), WANTED)
def test_a_message_is_of_one_format_only(kind: str, slot: str) -> None:
    found = {name for name, reads in FORMATS.items() if reads(MESSAGES[kind, slot])}
    assert found == {WANTED[kind, slot]}


def test_no_two_messages_are_the_same() -> None:
    """Those of 64 bytes are digests of different things: what is signed shows in none."""
    assert len(set(MESSAGES.values())) == len(MESSAGES)
    hashed = {
        "minisign.1": hashlib.blake2b(MANIFEST).digest(),
        "sha512": hashlib.sha512(MANIFEST).digest(),
        "text": hashlib.sha512(canonical_text(MANIFEST)).digest(),
    }
    assert MESSAGES["release", "minisign.1"] == hashed.pop("minisign.1")
    assert not set(hashed.values()) & set(MESSAGES.values())


def test_each_session_has_a_name_of_its_own() -> None:
    names = {session.session_id for session in SESSIONS.values()}
    assert len(names) == len(SESSIONS)
    without = release_session(GROUP, CERTIFICATE, STATEMENT, parse_recipe(RECIPE.encode()))
    assert "tag" not in without.request.slots
    assert without.session_id not in names


def test_every_output_is_made_of_these_signatures() -> None:
    for session in SESSIONS.values():
        made = {slot: sign(message) for slot, message in messages_of(session).items()}
        assert set(finish(session.outputs, made)) == {o.name for o in session.outputs}


@pytest.mark.parametrize("kind", SESSIONS)
def test_signify_takes_the_artifact_list_and_nothing_else_a_group_signs(kind: str) -> None:
    for (of, slot), message in MESSAGES.items():
        if of != kind:
            continue
        if slot == "raw":
            made = signify.signature_file(RAW, message, sign, "c")
            signify.verify_file(RAW, made, message, "s")
        else:
            with pytest.raises(InputError, match="not a message for signify"):
                signify.signature_file(RAW, message, sign, "c")


# --- no release of ours is one that a form would refuse --------------------------------------

FILE_NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}", fullmatch=True)
LONG = "a" * 64


def statement_of(names: set[str], project: str = "demo", version: str = "1.0") -> Statement:
    subject = tuple(
        Subject(name=name, digest=Sha256(sha256=Digest("ab" * 32))) for name in sorted(names)
    )
    predicate = msgspec.structs.replace(STATEMENT.predicate, project=project, version=version)
    return msgspec.structs.replace(STATEMENT, subject=subject, predicate=predicate)


@given(st.sets(FILE_NAMES, min_size=1, max_size=5))
def test_whatever_the_artifacts_are_called_every_form_takes_their_list(names: set[str]) -> None:
    session = release_session(GROUP, CERTIFICATE, statement_of(names), RECIPE_WITH_GIT)
    raw = messages_of(session)["raw"]
    # The smallest line there is, of a name of one letter, is longer than a digest.
    assert len(raw) >= 68
    assert FORMATS["artifact list"](raw)
    assert sum(reads(raw) for reads in FORMATS.values()) == 1


@pytest.mark.parametrize("name", ["a", "_", "DSSEv1", "SSHSIG", "0", "-----BEGIN"[5:]])
def test_the_longest_and_oddest_names_pass(name: str) -> None:
    statement = statement_of({name}, project=LONG, version="1" * 64)
    assert set(messages_of(release_session(GROUP, CERTIFICATE, statement, RECIPE_WITH_GIT)))


@pytest.mark.parametrize(
    ("released_at", "words"),
    [(LATER, "key has expired"), (GROUP.created - timedelta(days=1), "dated before its key")],
)
def test_what_cannot_be_made_is_said_before_anybody_commits(
    released_at: object, words: str
) -> None:
    predicate = msgspec.structs.replace(STATEMENT.predicate, released_at=released_at)
    statement = msgspec.structs.replace(STATEMENT, predicate=predicate)
    with pytest.raises(InputError, match=words) as caught:
        release_session(GROUP, CERTIFICATE, statement, RECIPE_WITH_GIT)
    assert caught.value.hint
    # Without an OpenPGP certificate nothing of it has an end.
    assert release_session(GROUP, None, statement, RECIPE_WITH_GIT).outputs


def test_the_formats_know_their_own() -> None:
    """The readers above would see a stranger's message for what it is."""
    assert FORMATS["layout"](pae("application/vnd.in-toto+json", LAYOUT))
    assert not FORMATS["statement"](pae("application/vnd.in-toto+json", LAYOUT))
    assert not FORMATS["layout"](LAYOUT)
    assert FORMATS["root"](RootFile(signatures=(), signed=group_root()).signed.to_bytes())
    assert FORMATS["sshsig"](sshsig.signed_bytes(MANIFEST, "git"))
    assert not FORMATS["minisign comment"](bytes(64) + b"demo")
    assert replace(SESSIONS["root"]).session_id == SESSIONS["root"].session_id
