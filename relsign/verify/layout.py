"""Step 4, the layout: the owners' rules, and whether the builders kept them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.canonical import Value
from relsign.formats.envelope import parse_envelope
from relsign.formats.layout import Layout, Rules, parse_layout
from relsign.formats.names import Digest
from relsign.formats.statement import ReleasePredicate
from relsign.verify.agreement import Agreement
from relsign.verify.release import Evidence, require, revoked_labels
from relsign.verify.root import TrustedRoot
from relsign.verify.rules import verify_rules


class TrustedLayout(Value, frozen=True):
    """A layout that enough owners signed and that is in force."""

    layout: Layout
    owners: tuple[Party, ...]
    builders: tuple[Party, ...]
    """Parties of the root that the layout lets build."""
    recipe_sha256: Digest
    """The recipe the owners approved."""


def verify_layout(root: TrustedRoot, evidence: Evidence, now: datetime) -> TrustedLayout:
    """Return the layout of a release.

    (1) m of n owners signed it; (2) it is the one the statement names, and is for
    its project and version; (3) it is not expired; (4) it names builders of the
    root, by key material, and no other key counts; (5) it asks for no fewer builders
    than the root; (6) it requires every artifact to be built, and to be checked where
    it has checks.  Raises NotEnoughError or VerificationError.
    """
    if LAYOUT_FILE not in evidence.files:
        raise NotEnoughError("the bundle holds no layout", where=LAYOUT_FILE)
    return check_layout(
        root, evidence.files[LAYOUT_FILE], evidence.statement.predicate, now,
        tuple(evidence.statement.digests()),
    )  # fmt: skip


def check_layout(
    root: TrustedRoot,
    data: bytes,
    predicate: ReleasePredicate,
    now: datetime,
    artifacts: tuple[str, ...],
) -> TrustedLayout:
    """Check layout bytes against a release; raises as `verify_layout` does."""
    envelope = parse_envelope(data, LAYOUT_FILE)
    report = verify_envelope(envelope, root.having("owner"), now)
    notes = revoked_labels(root, envelope)
    owners = require(report, root.root.thresholds.owners, "owners", notes)  # (1)
    if sha256_hex(envelope.payload) != predicate.layout_sha256:  # (2)
        raise VerificationError(
            "not the layout the signers named",
            where=LAYOUT_FILE,
            expected=predicate.layout_sha256,
            got=sha256_hex(envelope.payload),
        )
    layout = parse_layout(envelope.payload, LAYOUT_FILE)
    binding = layout.binding
    if (binding.project, binding.version) != (predicate.project, predicate.version):
        raise VerificationError(
            "a layout of another release",
            where=f"{LAYOUT_FILE}: readme",
            expected=f"{predicate.project} {predicate.version}",
            got=f"{binding.project} {binding.version}",
        )
    if now >= layout.expires:  # (3)
        raise VerificationError(
            "the layout has expired",
            where=f"{LAYOUT_FILE}: expires",
            got=layout.expires.isoformat(),
            hint="ask the owners to compile and sign it again",
        )
    builders = _authorised(root, layout)  # (4)
    _require_thresholds(root, layout)  # (5)
    _require_artifacts(layout, predicate, artifacts)  # (6)
    return TrustedLayout(layout, owners, builders, binding.recipe_sha256)


def _require_thresholds(root: TrustedRoot, layout: Layout) -> None:
    for step in layout.steps:
        if step.threshold < root.root.thresholds.builders:
            raise VerificationError(
                f"step {step.name} asks for fewer builders than the root",
                where=f"{LAYOUT_FILE}: {step.name}.threshold",
                expected=f"at least {root.root.thresholds.builders}",
                got=str(step.threshold),
            )


def verify_steps(layout: Layout, agreements: Mapping[str, Agreement]) -> None:
    """Check the rules of every step; raise VerificationError where one fails."""
    says = {name: agreement.says for name, agreement in agreements.items()}
    for step in layout.steps:
        own = says[step.name]
        place = f"{LAYOUT_FILE}: {step.name}"
        verify_rules(
            f"{place}.expected_materials", step.expected_materials, own.materials, own, says
        )
        verify_rules(f"{place}.expected_products", step.expected_products, own.products, own, says)


def _authorised(root: TrustedRoot, layout: Layout) -> tuple[Party, ...]:
    """Return the root's builders that every step names, by key material.

    A key the root does not know is passed over: it may be a builder's who joined or
    left since the root was pinned, and without the root it counts for nobody.
    """
    for step in layout.steps:
        if set(step.pubkeys) != set(layout.keys):
            raise VerificationError(
                f"step {step.name} does not name exactly the layout's keys", where=LAYOUT_FILE
            )
    named = {bytes.fromhex(key.keyval.public) for key in layout.keys.values()}
    return tuple(party for party in root.having("builder") if party.key.materials <= named)


def _require_artifacts(
    layout: Layout, predicate: ReleasePredicate, artifacts: tuple[str, ...]
) -> None:
    """Refuse a layout under which an artifact or fingerprint could be left out of a step."""
    build = layout.step("build").expected_products
    _require_files("build.expected_products", build, predicate, artifacts)
    if layout.has_checks:
        # The paths with a slash are what checks run in.
        rules = layout.step("check").expected_materials
        looked_at = tuple(rule for rule in rules if "/" not in rule[1])
        _require_files("check.expected_materials", looked_at, predicate, artifacts)


def _require_files(
    place: str, rules: Rules, predicate: ReleasePredicate, artifacts: tuple[str, ...]
) -> None:
    """Refuse rules that do not require exactly the release's files.

    A layout that requires single artifacts requires them all; one for very many
    artifacts requires the fingerprints, which list them (docs/reference/layout.md).
    """
    required = {rule[1] for rule in rules if rule[0] == "REQUIRE"}
    fingerprints = {f"{f.target}.fingerprint.json" for f in predicate.fingerprints}
    singled_out = required - fingerprints
    missing = (fingerprints - required) | (set(artifacts) - required if singled_out else set())
    if missing or singled_out - set(artifacts):
        named = sorted(missing | (singled_out - set(artifacts)))
        raise VerificationError(
            "the layout does not require exactly the release's files",
            where=f"{LAYOUT_FILE}: {place}",
            got=", ".join(named[:3]),
        )
