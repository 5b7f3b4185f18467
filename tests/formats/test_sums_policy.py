"""The policy for other people's manifests: what it may say."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.sums_policy import parse_sums_policy

KEY = "1" * 40
ONE_KEY = f'builder = [{{name = "a", keys = ["{KEY}"]}}, {{name = "b", keys = ["{KEY}"]}}]\n'
ONE_OPERATOR = 'builder = [{name = "a", operator = "o"}, {name = "b", operator = "o"}]\n'
TWO = '[[builder]]\nname = "a"\norganisation = "x"\n[[builder]]\nname = "b"\norganisation = "y"\n'


def test_a_threshold_is_enough() -> None:
    policy = parse_sums_policy(b"threshold = 3\n")
    assert (policy.threshold, policy.dissent, policy.expired) == (3, "refuse", "refuse")
    assert (policy.paths, policy.organisations, policy.builder) == ("base", None, ())


def test_everything_may_be_said() -> None:
    text = (
        'threshold = 2\norganisations = 2\ndissent = "record"\npaths = "keep"\n'
        'expired = "count-if-signed-before"\nreleases = ["28.*"]\nignore = ["*/mallory/*"]\n'
        f'[[builder]]\nname = "a"\noperator = "A"\norganisation = "x"\nkeys = ["{KEY}"]\n'
        '[[builder]]\nname = "b"\norganisation = "y"\n'
    )
    policy = parse_sums_policy(text.encode())
    assert [one.keys for one in policy.builder] == [(KEY,), ()]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "threshold"),
        ("threshold = 0\n", "threshold"),
        ("threshold = -1\n", "threshold"),
        ("threshold = true\n", "threshold"),
        ('threshold = "2"\n', "threshold"),
        ("threshold = 2.0\n", "threshold"),
        ("threshold = 65\n", "threshold"),
        ("threshold = 1\nunknown = 1\n", "unknown"),
        ('threshold = 1\ndissent = "ignore"\n', "dissent"),
        ('threshold = 1\nexpired = "count"\n', "expired"),
        ('threshold = 1\nignore = ["a\\nb"]\n', "ignore"),
        (f"threshold = 3\n{TWO}", "larger than the 2 operators"),
        ("threshold = 2\norganisations = 1\n", "organisations needs an organisation"),
        (f"threshold = 2\norganisations = 3\n{TWO}", "organisations is larger than threshold"),
        (
            f"threshold = 2\norganisations = 2\n{TWO.replace('y', 'x')}",
            "organisations is larger than the 1 there are",
        ),
        (
            'threshold = 1\norganisations = 1\n[[builder]]\nname = "a"\n',
            "organisations needs an organisation",
        ),
        (
            'threshold = 1\n[[builder]]\nname = "a"\n[[builder]]\nname = "a"\n',
            "builder named twice",
        ),
        (
            f"threshold = 1\n{ONE_KEY}",
            "key named twice",
        ),
        ('threshold = 1\n[[builder]]\nname = "a"\nkeys = ["1234ABCD"]\n', "keys"),
        (
            f"threshold = 2\n{ONE_OPERATOR}",
            "larger than the 1 operators",
        ),
    ],
)
def test_what_could_not_be_meant_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_sums_policy(text.encode(), "policy")
    error = refused.value
    assert says in f"{error} {error.hint}"
