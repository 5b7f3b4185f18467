"""TOML of any mappings and lists, quickly; what TOML has no form for is written all the same."""

from __future__ import annotations

import json


def write_toml(value: object) -> bytes:
    """Return a document: a line for each entry of the outermost table."""
    if not isinstance(value, dict):
        return _inline(value).encode("utf-8", "surrogatepass")
    lines = [f"{_text(name)} = {_inline(inside)}\n" for name, inside in value.items()]
    return "".join(lines).encode("utf-8", "surrogatepass")


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(n)} = {_inline(v)}" for n, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(inside) for inside in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: object) -> str:
    """Return a basic string, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)
