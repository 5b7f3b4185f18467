"""`package.json`: which programs a package brings, whatever mistakes are in it."""

from __future__ import annotations

import json

import pytest

from relsign.errors import InputError
from relsign.formats import npm_package
from relsign.formats.npm_package import parse_programs


@pytest.mark.parametrize(
    ("manifest", "programs"),
    [
        ({}, {}),
        ({"bin": "./cli.js"}, {"name": "cli.js"}),
        ({"bin": {"a": "a.js", "b": 3, "": "c"}}, {"a": "a.js"}),
        ({"bin": {"x/../y": "/abs", "c:\\d": "e\\f.js", "..": "g", "h": "../../i"}},
         {"y": "abs", "d": "e/f.js", "h": "i"}),
        ({"bin": ["./bin/one", 2]}, {"one": "bin/one"}),
        ({"bin": 7}, {}),
        ({"bin": {"a": "."}}, {}),
        ({"directories": {"bin": "./tools"}}, {"run": "tools/run", "deep": "tools/sub/deep"}),
        ({"directories": {"bin": 1}}, {}),
        ({"directories": [], "bin": None}, {}),
        ({"bin": {}, "directories": {"bin": "tools"}}, {}),
    ],
)  # fmt: skip
def test_programs_are_named_as_npm_names_them(
    manifest: dict[str, object], programs: dict[str, str]
) -> None:
    files = ("package.json", "tools/run", "tools/sub/deep", "tools/.hidden", "toolsy/x")
    data = b"\xef\xbb\xbf" + json.dumps(manifest).encode()
    assert parse_programs(data, "@scope/name", files) == programs


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"bin": "\xff"}', b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"not a package\.json"):
        parse_programs(data, "name", ())


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm_package, "MAX_PACKAGE_BYTES", 1)
    with pytest.raises(InputError, match="too large"):
        parse_programs(b"{}", "name", ())
