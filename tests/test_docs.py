"""The documentation against the code: links, exit codes, commands, fields, steps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

from relsign import errors
from relsign.cli.main import COMMANDS, INTERRUPTED
from relsign.formats import (
    bundle,
    ceremony,
    charter,
    commitment,
    dsse_policy,
    fingerprint,
    inputs,
    layout,
    link,
    listing,
    lock,
    log,
    memory,
    own_policy,
    pin,
    policy,
    provenance,
    recipe,
    renewal,
    root,
    roster,
    signing,
    statement,
    sums_policy,
    tuf,
    twin,
)
from relsign.verify.verdict import STEPS, Outcome, Word

TOP = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        *TOP.glob("*.md"),
        *(TOP / "docs").rglob("*.md"),
        *(TOP / "examples").rglob("*.md"),
    ]
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@cache
def _text(page: Path) -> str:
    return page.read_text("utf-8")


def _prose(page: Path) -> str:
    """Return a page without its fenced blocks, where links and marks mean nothing."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", _text(page))


def _name(page: Path) -> str:
    return str(page.relative_to(TOP))


# --- links -------------------------------------------------------------------------------------


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", _prose(page))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(_prose(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        assert there.is_relative_to(TOP), target
        assert not anchor or anchor in _anchors(there), target


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in LINK.findall(_prose(page))
        if not target.startswith(("https://", "#"))
    }
    outside = {TOP / "README.md", *(TOP / "examples").rglob("*.md")}
    assert [_name(page) for page in PAGES if page not in linked | outside] == []


# --- pictures ----------------------------------------------------------------------------------

PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_picture_shown_is_there(page: Path) -> None:
    shown = {file for _words, file in PICTURE.findall(_prose(page))}
    assert {file for file in shown if not (page.parent / file).is_file()} == set()


PICTURES = sorted((TOP / "docs/images").iterdir())


@pytest.mark.parametrize("picture", PICTURES, ids=_name)
def test_every_picture_is_shown_and_needs_nothing_from_elsewhere(picture: Path) -> None:
    shown = {
        (page.parent / file).resolve()
        for page in PAGES
        for _, file in PICTURE.findall(_prose(page))
    }
    assert picture in shown
    # What a stranger's server could change, or a reader's browser would run.
    assert re.findall(r"href|url\(|@import|<script|<image|<foreignObject", _text(picture)) == []
    # Read aloud instead of looked at, and seen on dark paper as on light.
    for needed in ("<title ", "<desc ", "prefers-color-scheme: dark"):
        assert needed in _text(picture), needed


# --- exit codes --------------------------------------------------------------------------------

CODES = {
    **{word.exit_code: word.value for word in Word},
    errors.InputError.exit_code: "USAGE",
    errors.NoRootError.exit_code: "NO ROOT",
    errors.HostError.exit_code: "HOST",
    INTERRUPTED: "INTERRUPTED",
}


def test_the_table_of_exit_codes_is_the_code_s() -> None:
    table = re.findall(
        r"(?m)^\| (\d+) \| ([A-Z ]+) \|", _text(TOP / "docs/reference/exit-codes.md")
    )
    assert {int(code): name for code, name in table} == CODES


def test_the_classes_have_the_exit_codes_the_page_says() -> None:
    said = re.findall(r"`(\w+Error)` (\d)", _text(TOP / "docs/reference/exit-codes.md"))
    assert {name: int(code) for name, code in said} == {
        kind.__name__: kind.exit_code for kind in errors.RelsignError.__subclasses__()
    }


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_exit_code_named_in_a_page_is_the_code_s(page: Path) -> None:
    assert {int(code) for code in re.findall(r"exit code (\d+)", _text(page))} <= set(CODES)
    for name, code in re.findall(
        r"([A-Z]+(?: [A-Z]+)?|\w+Error`?) \(exit\s+code (\d+)\)", _text(page)
    ):
        kind = getattr(errors, name.strip("`"), None)
        assert int(code) == kind.exit_code if kind else CODES[int(code)] == name, name


# --- commands ----------------------------------------------------------------------------------


def _command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each relsign command in a page's shell blocks."""
    for block in re.findall(r"(?ms)^ *```sh\n(.*?)^ *```$", _text(page)):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().startswith("relsign "):
                yield shlex.split(line, comments=True)


@cache
def _options() -> dict[str, str]:
    """Return each command's help, as README.md shows it."""
    shown = re.findall(
        r"<!-- help: relsign ?([a-z -]*) -->\n```text\n(.*?)```",
        _text(TOP / "README.md"),
        re.DOTALL,
    )
    return dict(shown)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_shown_has_the_options_it_is_given(page: Path) -> None:
    for words in _command_lines(page):
        name = " ".join(words[1:3]) if " ".join(words[1:3]) in _options() else words[1]
        assert name in _options(), words
        given = [word for word in words if re.match(r"--?[a-z]", word)]
        assert [option for option in given if option not in _options()[name]] == [], words


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_named_in_the_text_exists(page: Path) -> None:
    named = set(re.findall(r"`relsign ([a-z]+)", _prose(page)))
    assert named - set(COMMANDS) == set()


# --- fields and steps --------------------------------------------------------------------------

FIELDS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "bundle": (bundle.Bundle,),
    "inputs": (inputs.Inputs, inputs.BundledFile, inputs.Content, inputs.ProjectFile),
    "builder": (
        lock.BuilderDefinition,
        lock.SourcePackage,
        lock.BuilderLock,
        lock.DefinitionFile,
        lock.LockedImage,
        lock.LockedLayer,
        lock.LockedPackage,
        lock.LockedWheel,
        lock.LockedNpm,
        lock.LockedModule,
        lock.LockedCrate,
        lock.RootFileSystem,
    ),
    "ceremony": (
        charter.Charter,
        charter.Participant,
        charter.Group,
        charter.Holder,
        charter.Transcript,
        ceremony.Proposal,
        ceremony.Dealing,
        ceremony.Shares,
        ceremony.Contribution,
        ceremony.Acceptance,
        ceremony.Complaint,
        ceremony.SealedNumber,
    ),
    "dsse-policy": (dsse_policy.DssePolicy, dsse_policy.KeyEntry, dsse_policy.SlsaExpectation),
    "fingerprint": (
        fingerprint.Fingerprint,
        fingerprint.SourceDigest,
        fingerprint.EnvironmentDigest,
        fingerprint.ProfileDigest,
        fingerprint.BuiltArtifact,
    ),
    "layout": (layout.Layout, layout.Step, layout.Inspection),
    "link": (
        link.Link,
        link.ReleaseBinding,
        link.Byproducts,
        link.Host,
        twin.Twin,
        commitment.Commitment,
        commitment.Opening,
    ),
    "log-proof": (log.LogPolicy, log.LogGroup),
    "policy": (
        policy.Policy,
        policy.Thresholds,
        policy.Freshness,
        policy.Diversity,
        policy.Revocation,
        policy.RevokedKey,
        policy.Vouched,
    ),
    "provenance": (
        provenance.BuildDefinition,
        provenance.ExternalParameters,
        provenance.InternalParameters,
        provenance.ResolvedDependency,
        provenance.RunDetails,
        provenance.BuilderIdentity,
        provenance.RunMetadata,
    ),
    "publication": (
        listing.Timestamp,
        listing.Snapshot,
        listing.Targets,
        listing.SnapshotOnly,
        listing.TargetsOnly,
        listing.MetaFile,
        listing.Hashes,
        listing.Stamp,
        listing.Target,
        listing.Release,
    ),
    "recipe": (
        recipe.Project,
        recipe.DebianSource,
        recipe.PypiSdist,
        recipe.Archive,
        recipe.Git,
        recipe.UpstreamSignature,
        recipe.TagSignature,
        recipe.Target,
        recipe.Artifact,
        recipe.Pack,
        recipe.Check,
    ),
    "root": (root.RootFile, tuf.TufSignature, root.Root, root.RootPolicy, root.TufRoles),
    "roster": (
        roster.Member,
        roster.Ed25519Key,
        roster.OpenPGPKey,
        roster.EcdsaKey,
        roster.RsaKey,
        roster.FrostKey,
    ),
    "signing-session": (
        signing.SigningRequest,
        signing.Commitments,
        signing.NoncePair,
        signing.SignatureShares,
        renewal.Renewal,
    ),
    "statement": (
        statement.Statement,
        statement.ReleasePredicate,
        statement.FingerprintId,
        statement.PreviousRelease,
    ),
    "sums-policy": (sums_policy.SumsPolicy, sums_policy.PolicyBuilder),
    "trust-store": (
        pin.Pin,
        memory.Memory,
        memory.Seen,
        memory.NewestRoot,
        own_policy.OwnPolicy,
    ),
}


def _names(text: str) -> set[str]:
    """Return what a page sets as code, and each part of a path such as `hashes.sha256`."""
    codes = re.findall(r"`([^`\n]+)`", text)
    return {part for code in codes for part in (code, *code.split("."))}


@pytest.mark.parametrize("page", FIELDS)
def test_every_field_of_a_document_is_in_its_reference(page: str) -> None:
    names = _names(_prose(TOP / "docs/reference" / f"{page}.md"))
    fields = {field.encode_name for kind in FIELDS[page] for field in msgspec.structs.fields(kind)}
    assert fields - names == set()


def test_the_design_numbers_the_steps_as_the_code_does() -> None:
    listed = re.findall(r"(?m)^(\d)\. \*\*(\w+)\*\*:", _text(TOP / "docs/design.md"))
    assert listed == [(str(number), name) for number, name in enumerate(STEPS, 1)]


def test_the_json_reference_names_every_step_and_outcome() -> None:
    text = _text(TOP / "docs/reference/verify-json.md")
    words = [*STEPS, *(outcome.value for outcome in Outcome)]
    assert [word for word in words if f"`{word}`" not in text] == []


# --- tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_test_named_in_a_page_exists(page: Path) -> None:
    for file, _, name in re.findall(r"`(tests/[a-z_/]+\.py)(::(test_\w+))?`", _text(page)):
        assert (TOP / file).is_file(), file
        assert not name or f"def {name}(" in _text(TOP / file), f"{file}::{name}"


def test_every_promise_has_tests_and_every_test_of_a_promise_its_row() -> None:
    rows = re.findall(r"`test_promise_(\d)_\*`", _text(TOP / "docs/guarantees.md"))
    held = re.findall(r"(?m)^def test_promise_(\d)_", _text(TOP / "tests/test_guarantees.py"))
    assert sorted(rows) == sorted(set(held))


def test_every_form_of_json_that_a_command_prints_has_a_page() -> None:
    code = "".join(path.read_text() for path in (TOP / "relsign" / "cli").rglob("*.py"))
    schemas = set(re.findall(r'"schema": "(relsign/[a-z-]+/[0-9]+)"', code))
    assert len(schemas) > 10
    pages = "".join(path.read_text() for path in (TOP / "docs" / "reference").glob("*.md"))
    assert sorted(schema for schema in schemas if schema not in pages) == []
