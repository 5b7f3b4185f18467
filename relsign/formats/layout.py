"""in-toto layouts: the owners' rules for one release.

Compiled from the policy, signed by m of n owners as a DSSE envelope
(in-toto specification 1.0, section 4.3).  We accept a strict part of the format:
the steps `source` and `build`, then `check` where the recipe has checks, Ed25519 keys,
inspections whose command is `true`, and rule lists that end in ``DISALLOW *``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, Value, decode_canonical, encode_canonical
from relsign.formats.link import STEP_NAMES, StepName
from relsign.formats.names import Digest, KeyId, Time, refuse_repeats, shaped, whole_seconds_utc

MAX_LAYOUT_BYTES = 2 << 20
MAX_RULES = 20_000
Pattern = Annotated[
    str,
    shaped("a path, with no wildcard but *", r"[A-Za-z0-9_*][A-Za-z0-9._+~/*-]{0,1000}"),
]
"""A path, or a path with ``*`` in it; no other wildcard is accepted."""

PlainRule = tuple[Literal["CREATE", "ALLOW", "REQUIRE", "DISALLOW"], Pattern]
MatchRule = tuple[
    Literal["MATCH"],
    Pattern,
    Literal["WITH"],
    Literal["MATERIALS", "PRODUCTS"],
    Literal["FROM"],
    StepName,
]

EncodedRule = Annotated[tuple[str, ...], Meta(min_length=2, max_length=6)]
Rules = Annotated[tuple[EncodedRule, ...], Meta(min_length=1, max_length=MAX_RULES)]


class Ed25519Public(Document, frozen=True, kw_only=True):
    """Raw public key as hexadecimal."""

    public: Annotated[str, shaped("64 digits of 0-9 a-f", r"[0-9a-f]{64}")]


class LayoutKey(Document, frozen=True, kw_only=True):
    """A functionary's key in securesystemslib's form."""

    keyid: KeyId
    keytype: Literal["ed25519"] = "ed25519"
    scheme: Literal["ed25519"] = "ed25519"
    keyval: Ed25519Public


class Step(Document, frozen=True, kw_only=True):
    """One step, who may do it, and how many must agree."""

    type_: Literal["step"] = msgspec.field(default="step", name="_type")
    name: StepName
    expected_materials: Rules
    expected_products: Rules
    pubkeys: Annotated[tuple[KeyId, ...], Meta(min_length=1, max_length=256)]
    expected_command: tuple[str, ...]
    threshold: Annotated[int, Meta(ge=1, le=256)]

    def __post_init__(self) -> None:
        """Refuse rules and thresholds that could not mean what they say."""
        refuse_repeats("keyid", self.pubkeys)
        if self.threshold > len(self.pubkeys):
            raise ValueError(f"threshold {self.threshold} of {len(self.pubkeys)} keys")
        check_rules(self.expected_materials)
        check_rules(self.expected_products)


class Inspection(Document, frozen=True, kw_only=True):
    """A check of the files in the verifier's folder; it runs nothing but `true`."""

    type_: Literal["inspection"] = msgspec.field(default="inspection", name="_type")
    name: Literal["verify-download"]
    expected_materials: Rules
    expected_products: Rules
    run: tuple[Literal["true"]]

    def __post_init__(self) -> None:
        """Refuse rules that could not mean what they say."""
        check_rules(self.expected_materials)
        check_rules(self.expected_products)


class LayoutBinding(Value, frozen=True):
    """What a layout is for: in-toto has no field for it, so its readme says it."""

    project: str
    version: str
    recipe_sha256: Digest

    def readme(self) -> str:
        """Return the one sentence a layout's readme consists of."""
        return f"Release {self.version} of {self.project}, recipe sha256 {self.recipe_sha256}."


_README = re.compile(
    r"Release (?P<version>[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63})"
    r" of (?P<project>[A-Za-z0-9][A-Za-z0-9._+-]{0,63}), recipe sha256 (?P<recipe>[0-9a-f]{64})\."
)


def release_inspection(binding: LayoutBinding) -> Inspection:
    """Return the check a stock in-toto-verify makes of downloaded files.

    Every file of the folder is a product of the build with the same bytes, or one
    that relsign publishes beside them.
    """
    bundle = f"{binding.project}-{binding.version}.relsign"
    rules = (
        ("MATCH", "*", "WITH", "PRODUCTS", "FROM", "build"),
        *(("ALLOW", name) for name in ("SHA256SUMS", "SHA256SUMS.*", "in-toto/*", bundle)),
        ("DISALLOW", "*"),
    )
    return Inspection(
        name="verify-download", expected_materials=rules, expected_products=rules, run=("true",)
    )


class Layout(Document, frozen=True, kw_only=True):
    """The owners' rules for one release."""

    type_: Literal["layout"] = msgspec.field(default="layout", name="_type")
    readme: Annotated[str, Meta(max_length=1000)]
    expires: Time
    keys: Annotated[dict[KeyId, LayoutKey], Meta(min_length=1, max_length=256)]
    steps: Annotated[tuple[Step, ...], Meta(min_length=2, max_length=3)]
    inspect: Annotated[tuple[Inspection, ...], Meta(min_length=1, max_length=1)]

    def __post_init__(self) -> None:
        """Refuse a layout whose parts do not refer to each other."""
        if not whole_seconds_utc(self.expires):
            raise ValueError("expires is not whole seconds in UTC")
        names = tuple(step.name for step in self.steps)
        if names != STEP_NAMES[: len(names)]:
            raise ValueError("steps are not source, build and at most check, in that order")
        refuse_repeats("public key", (key.keyval.public for key in self.keys.values()))
        for keyid, key in self.keys.items():
            if key.keyid != keyid:
                raise ValueError(f"key listed under another keyid: {keyid}")
        if self.inspect != (release_inspection(self.binding),):
            raise ValueError("inspection is not the one of the release the readme names")
        for step in self.steps:
            unknown = sorted(set(step.pubkeys) - set(self.keys))
            if unknown:
                raise ValueError(f"step {step.name} names an unknown keyid: {unknown[0]}")
            for rule in (*step.expected_materials, *step.expected_products):
                if rule[0] == "MATCH" and rule[-1] not in names:
                    raise ValueError(f"step {step.name} matches a step that is not there")

    @property
    def binding(self) -> LayoutBinding:
        """Return the release and recipe the owners approved, as the readme says."""
        match = _README.fullmatch(self.readme)
        if match is None:
            raise ValueError("readme does not name release and recipe in our words")
        return LayoutBinding(match["project"], match["version"], Digest(match["recipe"]))

    def step(self, name: StepName) -> Step:
        """Return the step of that name; raise KeyError if the layout has none."""
        return {step.name: step for step in self.steps}[name]

    @property
    def has_checks(self) -> bool:
        """Say whether builders must have run the recipe's checks."""
        return len(self.steps) == len(STEP_NAMES)

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


def check_rules(rules: tuple[tuple[str, ...], ...]) -> None:
    """Raise ValueError for a rule in-toto would read otherwise, or an open end.

    Without a final ``DISALLOW *`` in-toto allows whatever no rule mentioned.
    """
    for rule in rules:
        try:
            msgspec.convert(rule, MatchRule if rule[0] == "MATCH" else PlainRule)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a rule we accept: {' '.join(rule)[:100]}") from error
    if rules[-1] != ("DISALLOW", "*"):
        raise ValueError("rules do not end in DISALLOW *")


def parse_layout(payload: bytes, where: str = "layout") -> Layout:
    """Return the layout in a payload; raise InputError for what we do not accept."""
    return decode_canonical(payload, Layout, where, max_bytes=MAX_LAYOUT_BYTES)
