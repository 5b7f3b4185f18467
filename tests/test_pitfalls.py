"""The pitfalls of in-toto that a strict verifier must close: one test each.

Each shows what the stock library does with the very same evidence, and that ours does
the strict thing.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from in_toto.models._signer import GPGSigner
from in_toto.models.layout import Step as StockStep
from in_toto.models.metadata import Envelope as StockEnvelope
from in_toto.models.metadata import Metadata
from in_toto.runlib import record_artifacts_as_dict
from securesystemslib._gpg import common, functions
from securesystemslib.formats import encode_canonical

from relsign.crypto.digest import sha256_hex
from relsign.crypto.openpgp import parse_certificate, verify_detached
from relsign.errors import InputError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.link import Byproducts, Host, ReleaseBinding, Sha256, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.root import parse_root
from relsign.sign.evidence.links import make_links
from relsign.system.files import hash_file
from relsign.verify.decision import Decision
from relsign.verify.verdict import STEPS, Outcome, Row, Word
from tests.crypto.openpgp_cases import AT, MESSAGE, PRIMARY, SUBKEY, revoked_primary, with_subkey
from tests.crypto.openpgp_maker import DAY, detached, lasts, simple
from tests.differential.stock_intoto import says_no
from tests.hostile.downloads import FAR_AHEAD, Files, lasting, lines_of, put, verify
from tests.hostile.mutate import canonical
from tests.verify.broken import OTHER, added, keyid, statement_with
from tests.verify.releases import (
    ARTIFACT,
    NAME,
    Release,
    changed_link,
    link_files,
    make_fingerprint,
    make_root,
    sealed,
    signed_root,
)

# Its functions have no types.
get_pubkey_bundle: Callable[..., Any] = common.get_pubkey_bundle
parse_signature_packet: Callable[..., Any] = functions.parse_signature_packet
verify_signature: Callable[..., Any] = functions.verify_signature
olpc: Callable[..., Any] = encode_canonical

BOTH = ("olga", "oona")
EVIL = {"evil": Sha256(sha256=Digest("e" * 64))}
Table = dict[str, Any]


def stock(folder: Path, release: Release, owners: tuple[str, ...] = BOTH) -> str:
    """Return why the stock library refuses a release; nothing if it accepts it."""
    return says_no(folder, release.files(), {NAME: ARTIFACT}, owners)


def row(decision: Decision, name: str) -> Row:
    return decision.verdict.rows[STEPS.index(name)]


def ours(release: Release, name: str) -> tuple[Word, Outcome, str]:
    """Return our verdict, and what one step says."""
    decision = release.decide()
    said = row(decision, name)
    return decision.verdict.word, said.outcome, said.text


def with_layout(change: Callable[[Table], None], files: Files | None = None) -> Release:
    """Return a release whose owners and signers approved a layout our compiler never makes."""
    table = json.loads(lasting().compiled_layout().to_bytes())
    change(table)
    payload = canonical(table)
    layout = {LAYOUT_FILE: sealed(payload, BOTH)}
    return replace(
        lasting(added({**layout, **(files or {})})),
        change_statement=statement_with(layout_sha256=sha256_hex(payload)),
    )


def build_link(builder: str) -> str:
    return link_file_name("build", keyid(builder))


def test_the_stock_library_accepts_an_honest_release_as_we_do(tmp_path: Path) -> None:
    assert stock(tmp_path / "r", lasting()) == ""
    assert lasting().decide().verdict.word is Word.VERIFIED


def test_pitfall_01_a_sublayout_in_place_of_a_link_is_refused(tmp_path: Path) -> None:
    """A builder hands in a layout: the stock library runs its commands, we read its type."""
    marker = tmp_path / "ran"
    inspection = {
        "_type": "inspection", "name": "x", "run": ["touch", str(marker)],
        "expected_materials": [], "expected_products": [],
    }  # fmt: skip
    sublayout = {
        "_type": "layout", "readme": "", "expires": "2090-01-01T00:00:00Z", "keys": {},
        "steps": [], "inspect": [inspection],
    }  # fmt: skip
    evil = {build_link("builder-b"): sealed(canonical(sublayout), ["builder-b"])}
    release = lasting(added(evil))
    assert ours(release, "builders")[:2] == (Word.NOT_ENOUGH, Outcome.MISSING)
    done = verify(put(tmp_path / "download", release))
    assert done.returncode == Word.NOT_ENOUGH.exit_code, lines_of(done)
    # With two honest builders beside it, it is named and counts for nobody.
    outvoted = replace(release, builders=("builder-a", "builder-b", "builder-c"))
    decision = outvoted.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert any(build_link("builder-b") in line for line in row(decision, "builders").evidence)
    assert not marker.exists()
    # It refuses in the end, but not before it ran what the builder wrote.
    assert stock(tmp_path / "stock", release) != ""
    assert marker.exists()


def test_pitfall_02_owners_are_counted_m_of_n(tmp_path: Path) -> None:
    """Every key the stock library is given must sign, and one key is enough for it."""
    alone = replace(lasting(), owners=("olga",))
    assert stock(tmp_path / "1", alone, ("olga",)) == ""
    word, outcome, text = ours(alone, "layout")
    assert (word, outcome) == (Word.NOT_ENOUGH, Outcome.MISSING)
    assert "1 of the 2 owners" in text
    two_of_three = replace(lasting(), owners=("olga", "otto"))
    assert "Signature" in stock(tmp_path / "2", two_of_three, ("olga", "otto", "oona"))
    assert two_of_three.decide().verdict.word is Word.VERIFIED


def test_pitfall_03_one_key_under_two_keyids_counts_once(tmp_path: Path) -> None:
    twin, name = "e" * 64, "builder-a"

    def change(table: Table) -> None:
        mine = table["keys"][keyid(name)]
        table["keys"] = {keyid(name): mine, twin: {**mine, "keyid": twin}}
        for step in table["steps"]:
            step["pubkeys"] = [keyid(name), twin]

    links: Files = {}
    for file, data in link_files(make_fingerprint(), name).items():
        link = parse_envelope(data, file)
        relabelled = Signature(keyid=twin, sig=link.signatures[0].sig)
        links[link_file_name(file.split(".")[0], twin)] = Envelope(
            payload=link.payload, payload_type=INTOTO_PAYLOAD, signatures=(relabelled,)
        ).to_bytes()
    release = replace(with_layout(change, links), builders=(name,))
    assert stock(tmp_path / "r", release) == ""
    word, outcome, text = ours(release, "layout")
    assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert "public key named twice" in text


def test_pitfall_04_a_link_is_bound_to_its_step_and_release(tmp_path: Path) -> None:
    for number, binding in enumerate((("demo", "0.9"), ("fork", "1.0"))):
        project, version = binding
        old = ReleaseBinding(project=project, version=version)
        replayed = lasting(added(changed_link("builder-b", "build", environment=old)))
        assert stock(tmp_path / f"{number}", replayed) == ""
        word, outcome, text = ours(replayed, "builders")
        assert (word, outcome) == (Word.NOT_ENOUGH, Outcome.MISSING)
        assert "belongs to another release" in text
    # The name inside a link is not compared with the step it is filed under.
    other = changed_link("builder-b", "build", name="source")
    renamed = lasting(added(other))
    assert stock(tmp_path / "name", renamed) == ""
    assert "filed under another step" in ours(renamed, "builders")[2]


def test_pitfall_05_dissent_is_recorded_and_never_decides_in_silence(tmp_path: Path) -> None:
    agreed = replace(lasting(), builders=("builder-a", "builder-b"))
    dissent = link_files(OTHER, "builder-c")
    divided = replace(agreed, change_files=added(dissent))
    assert "Threshold" in stock(tmp_path / "1", divided)
    assert stock(tmp_path / "2", agreed) == ""  # without the dissent it passes
    decision = divided.decide()
    assert decision.verdict.word is Word.VERIFIED
    assert row(decision, "builders").evidence == (
        "dissent: builder-c got other bytes at step build",
    )
    # At threshold one the first key listed wins over there, whatever the others say.
    one = make_root(
        expires=FAR_AHEAD,
        thresholds=Thresholds(owners=2, signers=2, builders=1, organisations=1),
    )

    def change(table: Table) -> None:
        order = [keyid("builder-a"), keyid("builder-c"), keyid("builder-b")]
        for step in table["steps"]:
            step["threshold"], step["pubkeys"] = 1, order

    first = replace(with_layout(change, dissent), builders=("builder-a",))
    assert stock(tmp_path / "3", first) == ""
    assert "fewer builders than the root" in ours(first, "layout")[2]
    word, outcome, text = ours(replace(first, root=one), "builders")
    assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert "two quorums contradict each other" in text


def test_pitfall_06_materials_hold_only_what_every_honest_builder_shares(tmp_path: Path) -> None:
    """Diverse machines give equal materials: what differs stands in the byproducts."""
    links: Files = {}
    for builder, engine in (("builder-a", "docker"), ("builder-b", "podman")):
        host = Host(engine=engine, platform="x86_64", environment="debian-12")
        made = make_links((make_fingerprint(),), Byproducts(host=host))
        links |= {
            link_file_name(link.name, keyid(builder)): sealed(link.to_bytes(), [builder])
            for link in made
        }
    assert links[build_link("builder-a")] != links[build_link("builder-b")]
    diverse = lasting(added(links))
    assert stock(tmp_path / "1", diverse) == ""
    assert diverse.decide().verdict.word is Word.VERIFIED
    # A tool chain among the materials would be taken for a disagreement, by both.
    _, build = make_links((make_fingerprint(),))
    own = {**build.materials, "toolchain": Sha256(sha256=Digest("a" * 64))}
    chain = lasting(added(changed_link("builder-b", "build", materials=own)))
    assert "Threshold" in stock(tmp_path / "2", chain)
    word, outcome, text = ours(chain, "builders")
    assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert "disagree on what they built from" in text


def test_pitfall_07_rules_require_and_end_in_disallow(tmp_path: Path) -> None:
    products = {**make_links((make_fingerprint(),))[1].products, **EVIL}
    smuggled: Files = {}
    for builder in ("builder-a", "builder-b"):
        smuggled |= changed_link(builder, "build", products=products)

    def open_ended(table: Table) -> None:
        table["steps"][1]["expected_products"].pop()

    release = with_layout(open_ended, smuggled)
    assert stock(tmp_path / "1", release) == ""
    assert ours(release, "layout")[0] is Word.REFUSED
    assert "rules do not end in DISALLOW *" in ours(release, "layout")[2]

    def nothing_required(table: Table) -> None:
        table["steps"][1]["expected_products"] = [["CREATE", "*"], ["DISALLOW", "*"]]

    release = with_layout(nothing_required)
    assert stock(tmp_path / "2", release) == ""
    assert "does not require exactly the release's files" in ours(release, "layout")[2]
    # What our compiler emits demands each file and allows no other.
    rules = lasting().compiled_layout().step("build").expected_products
    assert {("REQUIRE", NAME), ("REQUIRE", "linux.fingerprint.json")} <= set(rules)
    assert rules[-1] == ("DISALLOW", "*")
    assert "RuleVerification" in stock(tmp_path / "3", lasting(added(smuggled)))
    assert ours(lasting(added(smuggled)), "builders")[0] is Word.REFUSED


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff\x00", b"[]", b'{"payload":"!"}'])
def test_pitfall_08_one_garbage_link_is_named_and_ignored(tmp_path: Path, junk: bytes) -> None:
    release = lasting(added({build_link("builder-c"): junk}))
    assert stock(tmp_path / "r", release) != ""
    decision = release.decide()
    assert decision.verdict.word is Word.VERIFIED
    ignored = row(decision, "builders").evidence
    assert len(ignored) == 1
    assert ignored[0].startswith(f"{build_link('builder-c')}: ")


def test_pitfall_09_odd_layouts_are_refused_when_they_are_read(tmp_path: Path) -> None:
    def unknown(table: Table) -> None:
        table["x-unknown"] = True

    release = with_layout(unknown)
    assert stock(tmp_path / "1", release) == ""
    assert "unknown field" in ours(release, "layout")[2]

    def no_threshold(table: Table) -> None:
        for step in table["steps"]:
            step["threshold"] = 0

    release = replace(with_layout(no_threshold), builders=())
    with pytest.raises(StopIteration):
        stock(tmp_path / "2", release)
    assert ours(release, "layout")[:2] == (Word.REFUSED, Outcome.REFUSED)
    # A step's name is the start of a path over there.
    assert StockStep(name="../../etc/x").name == "../../etc/x"
    odd: tuple[Table, ...] = (
        *({"threshold": wrong} for wrong in (0, -1, True, "2", 1.0, 99)),
        {"name": "../source"},
    )
    for changes in odd:
        table = json.loads(lasting().compiled_layout().to_bytes())
        table["steps"][0].update(changes)
        with pytest.raises(InputError):
            parse_layout(canonical(table))


def test_pitfall_10_what_recording_does_not_see_is_bound_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    before = _recorded(folder)
    (folder / "empty").mkdir()
    (folder / "a").chmod(0o4755)
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("empty")
    assert _recorded(folder) == before
    # Ours: the mode is part of the fingerprint, and what is no regular file is refused.
    artifact = make_fingerprint().artifacts[0]
    executable = make_fingerprint(artifacts=(msgspec.structs.replace(artifact, mode="0755"),))
    assert executable.to_bytes() != make_fingerprint().to_bytes()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(artifact), "mode": "4755"}, type(artifact))
    for odd in ("pipe", "link", "empty"):
        with pytest.raises(InputError, match="not a regular file"):
            hash_file(folder / odd)
    # `CREATE *` lets out/a/b through in both; ours also compares the whole list of files.
    deep = {**make_links((make_fingerprint(),))[1].products, "out/a/b": EVIL["evil"]}
    links: Files = {}
    for builder in ("builder-a", "builder-b"):
        links |= changed_link(builder, "build", products=deep)

    def change(table: Table) -> None:
        table["steps"][1]["expected_products"].insert(0, ["CREATE", "out/*"])

    release = with_layout(change, links)
    assert stock(tmp_path / "r", release) == ""
    word, outcome, text = ours(release, "fingerprint")
    assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert "name different files" in text


def _recorded(folder: Path) -> object:
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return record_artifacts_as_dict(["."])


def test_pitfall_11_a_wrong_command_is_refused(tmp_path: Path) -> None:
    release = lasting(added(changed_link("builder-b", "build", command=("sh", "-c", "evil"))))
    assert stock(tmp_path / "r", release) == ""
    word, outcome, text = ours(release, "builders")
    assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert "builder-b ran another command" in text


def test_pitfall_12_openpgp_is_never_verified_through_in_toto() -> None:
    """Its own OpenPGP takes revoked and expired keys, and loses the subkeys of Ed25519 ones."""
    by_sha256 = detached(PRIMARY, MESSAGE, hash_number=8)
    for certificate, words in (
        (revoked_primary(), "key is revoked"),
        (simple(PRIMARY, lasts(5 * DAY)), "key has expired"),
    ):
        key = get_pubkey_bundle(certificate, PRIMARY.fingerprint.lower())
        assert verify_signature(parse_signature_packet(by_sha256), key, MESSAGE)
        with pytest.raises(VerificationError, match=words):
            verify_detached(parse_certificate(certificate, "t"), by_sha256, MESSAGE, AT)
    subkeys = get_pubkey_bundle(with_subkey(), PRIMARY.fingerprint.lower()).get("subkeys", {})
    assert SUBKEY.fingerprint.lower() not in subkeys
    parsed = parse_certificate(with_subkey(), "t")
    by_subkey = detached(SUBKEY, MESSAGE)
    assert verify_detached(parsed, by_subkey, MESSAGE, AT).fingerprint == SUBKEY.fingerprint
    # A good signature with SHA-512 is none to it, and DSSE with such keys is not there at all.
    with pytest.raises(ValueError, match="not supported"):
        parse_signature_packet(detached(PRIMARY, MESSAGE))
    verify_detached(
        parse_certificate(simple(PRIMARY), "t"), detached(PRIMARY, MESSAGE), MESSAGE, AT
    )
    with pytest.raises(NotImplementedError):
        StockEnvelope(b"{}", INTOTO_PAYLOAD, {}).create_signature(GPGSigner("ab" * 20))


def test_pitfall_13_the_two_canonical_forms_are_never_mixed() -> None:
    """They differ where a text holds a control character: none of ours may."""
    assert olpc({"a": "x\ny"}) == '{"a":"x\ny"}'
    assert rfc8785.dumps({"a": "x\ny"}) == b'{"a":"x\\ny"}'
    signed = make_root(expires=FAR_AHEAD).to_bytes()
    table = json.loads(signed)
    assert olpc(table).encode() == rfc8785.dumps(table) == signed
    data = signed_root(make_root())
    for form in (rfc8785.dumps, lambda t: olpc(t).encode()):
        table = json.loads(data)
        table["signed"]["x-relsign"]["revoked"] = [{"reason": "x\ny", "version": "1.0"}]
        with pytest.raises(InputError):
            parse_root(form(table))
    # What owners sign in a layout is one form as well: another spelling is refused.
    payload = lasting().compiled_layout().to_bytes()
    assert payload == rfc8785.dumps(json.loads(payload))
    for spelling in (json.dumps(json.loads(payload)).encode(), payload + b"\n"):
        with pytest.raises(InputError):
            parse_layout(spelling)


HOSTILE: dict[str, tuple[bytes, type[Exception]]] = {
    "null": (b"null", TypeError),
    "a list where a mapping is meant": (b'{"signatures":[],"signed":[]}', AttributeError),
    "100,000 brackets": (b"[" * 100_000, RecursionError),
    "no JSON": (b"\xff", UnicodeDecodeError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_pitfall_14_hostile_bytes_raise_our_errors_only(tmp_path: Path, name: str) -> None:
    data, raised = HOSTILE[name]
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(raised):
        Metadata.load(str(path))
    for parse in (parse_layout, parse_root, lambda d: parse_envelope(d, "t")):
        with pytest.raises(InputError) as caught:
            parse(data)
        assert str(caught.value).isprintable()
    payload = sealed(data, BOTH)
    for file in (data, payload):
        word, outcome, _ = ours(lasting(added({LAYOUT_FILE: file})), "layout")
        assert (word, outcome) == (Word.REFUSED, Outcome.REFUSED)
    assert lasting(added({build_link("builder-c"): data})).decide().verdict.word is Word.VERIFIED
