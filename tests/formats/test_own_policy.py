"""A person's own policy asks for more, or is refused; no field of it switches a check off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.own_policy import OwnPolicy, Wishes, parse_own_policy, wishes_for
from tests.formats.samples import assert_refused

WHOLE = b"""
level = "standard"
signers = 2
builders = 3
organisations = 2
dissent = "refuse"
freshness_days = 14
log = true

[project.gzip]
level = "paranoid"
builders = 5

[project."a.b"]
log = true
"""


def test_every_field_is_read() -> None:
    policy = parse_own_policy(WHOLE)
    assert (policy.level, policy.signers, policy.builders) == ("standard", 2, 3)
    assert (policy.organisations, policy.dissent) == (2, "refuse")
    assert (policy.freshness_days, policy.log) == (14, True)
    assert policy.project["gzip"] == Wishes(level="paranoid", builders=5)
    assert policy.project["a.b"] == Wishes(log=True)


def test_an_empty_file_asks_for_nothing() -> None:
    assert parse_own_policy(b"") == OwnPolicy()


@pytest.mark.parametrize(
    ("project", "tables"),
    [("gzip", 2), ("GZIP", 2), ("gzi", 1), ("gzip2", 1), ("a.b", 2), ("project", 1)],
)
def test_a_table_holds_for_its_project_in_any_case(project: str, tables: int) -> None:
    found = wishes_for(parse_own_policy(WHOLE), project)
    assert len(found) == tables
    assert found[0].builders == 3


ROWS: list[tuple[str, str, str]] = [
    ('level = "basic"', "level", "expected paranoid or standard, got 'basic'"),
    ('level = "none"', "level", "expected paranoid or standard"),
    ("level = 3", "level", "expected"),
    ('dissent = "record"', "dissent", "got 'record'"),
    ("log = false", "", "log can only be true"),
    ('log = "false"', "log", "expected true or false"),
    ("log = 1", "log", "expected true or false"),
    ("signers = 0", "signers", ">= 1, got 0"),
    ("signers = -1", "signers", ">= 1, got -1"),
    ("builders = 65", "builders", "<= 64, got 65"),
    ("organisations = true", "organisations", "an integer"),
    ('builders = "2"', "builders", "an integer"),
    ("builders = 2.0", "builders", "an integer"),
    ("builders = inf", "builders", "an integer"),
    ("freshness_days = 0", "freshness_days", ">= 1, got 0"),
    ("freshness_days = 3661", "freshness_days", "<= 3660"),
    ("skip_log = true", "", "unknown field (got skip_log)"),
    ("revoked = []", "", "unknown field"),
    ("thresholds = {builders = 1}", "", "unknown field"),
    ("project = 1", "project", "got 1"),
    ("[project.gzip]\nlevel = 'basic'", "project.gzip.level", "got 'basic'"),
    ("[project.gzip]\nlog = false", "project.gzip", "log can only be true"),
    ("[project.gzip]\nproject = {}", "project.gzip", "unknown field"),
    ("[project.'../x']\nlog = true", "project", "up to 64"),
    ("[project.gzip]\n[project.gzip]", "", "not valid TOML"),
    ("signers = 2\nsigners = 1", "", "not valid TOML"),
    ("signers", "", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "where", "words"), ROWS)
def test_what_is_not_a_demand_is_refused(text: str, where: str, words: str) -> None:
    place = f"policy.toml: {where}" if where else "policy.toml"
    assert_refused(parse_own_policy, text.encode(), place, words)


def test_it_is_bounded() -> None:
    with pytest.raises(InputError, match="too large"):
        parse_own_policy(b"#" * ((1 << 18) + 1))
    many = "".join(f"[project.p{n}]\n" for n in range(1001)).encode()
    with pytest.raises(InputError, match="length <= 1000"):
        parse_own_policy(many)


@given(st.binary(min_size=1, max_size=300).filter(lambda data: b"#" not in data and data.strip()))
def test_any_bytes_are_refused_with_our_error(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_own_policy(data)
    assert str(caught.value).isprintable()
