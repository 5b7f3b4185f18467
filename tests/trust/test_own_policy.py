"""A person's own policy comes from their own folder, and only ever adds demands."""

from __future__ import annotations

from pathlib import Path

import pytest

from relsign.cli.places import own_policy_file, trust_folder
from relsign.errors import InputError
from relsign.formats.own_policy import OwnPolicy, parse_own_policy
from relsign.trust.pins.own_policy import demands_for, read_own_policy
from relsign.verify.demands import Demands, Level

WHOLE = b"""
signers = 2
builders = 3
freshness_days = 30

[project.gzip]
level = "paranoid"
signers = 1
builders = 5
organisations = 2
dissent = "refuse"
freshness_days = 60
log = true
"""


def test_the_strictest_of_what_holds_is_demanded() -> None:
    policy = parse_own_policy(WHOLE)
    assert demands_for(policy, "other") == Demands(signers=2, builders=3, freshness_days=30)
    assert demands_for(policy, "gzip") == Demands(
        level=Level.PARANOID,
        signers=2,
        builders=5,
        organisations=2,
        refuse_dissent=True,
        freshness_days=30,
        log=True,
    )
    assert demands_for(OwnPolicy(), "gzip") == Demands()


@pytest.mark.parametrize("text", [WHOLE, b"", b'level = "standard"', b"signers = 1", b"log = true"])
def test_no_policy_weakens_what_was_demanded_before(text: bytes) -> None:
    root = Demands(level=Level.STANDARD, signers=2, freshness_days=7, log=True)
    for project in ("gzip", "other"):
        both = root.stricter(demands_for(parse_own_policy(text), project))
        assert both.stricter(root) == both
        assert (both.level, both.freshness_days, both.log) >= (Level.STANDARD, 7, True)
        assert both.signers >= 2


def test_it_is_read_where_it_was_named_else_from_the_default(tmp_path: Path) -> None:
    named, default = tmp_path / "named.toml", tmp_path / "default.toml"
    assert read_own_policy(None, default) == OwnPolicy()
    default.write_bytes(b"signers = 2")
    named.write_bytes(b"signers = 3")
    assert read_own_policy(None, default).signers == 2
    assert read_own_policy(named, default).signers == 3


def test_a_policy_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such policy"):
        read_own_policy(tmp_path / "none", tmp_path / "default")


@pytest.mark.parametrize("text", ["signers = 0", "junk", 'level = "basic"'])
def test_a_bad_default_is_refused_and_not_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(InputError, match=r"policy\.toml"):
        read_own_policy(None, tmp_path / "policy.toml")


def test_what_lies_in_the_current_folder_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("policy.toml", "relsign/policy.toml", ".config/relsign/policy.toml"):
        planted = tmp_path / name
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text("junk")
    monkeypatch.setenv("HOME", "/nowhere")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert own_policy_file() == Path("/nowhere/.config/relsign/policy.toml")
    assert trust_folder() == Path("/nowhere/.local/share/relsign/trust")
    assert read_own_policy(None, own_policy_file()) == OwnPolicy()


@pytest.mark.parametrize("value", [".", "config", "../x", ""])
def test_no_variable_makes_it_a_place_in_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, value)
    assert own_policy_file().is_absolute()
    assert trust_folder().is_absolute()
