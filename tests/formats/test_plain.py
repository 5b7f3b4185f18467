"""Two ways of reading and writing, one answer: the quick way is RFC 8785 or it is not taken."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

import relsign.formats
from relsign.errors import InputError
from relsign.formats import strict
from relsign.formats.bundle import _Unread
from relsign.formats.canonical import (
    Document,
    decode_canonical,
    decode_json,
    encode_canonical,
)


class Leaf(Document, frozen=True, kw_only=True):
    n: int
    zeta: str = "z"
    alpha: bool | None = None


class Sea(Document, frozen=True, kw_only=True, tag_field="kind", tag="sea"):
    after: int


class Lake(Document, frozen=True, kw_only=True, tag_field="kind", tag="lake", omit_defaults=True):
    name: str = ""


class Tree(Document, frozen=True, kw_only=True):
    table: dict[str, Leaf]
    words: tuple[str, ...]
    numbers: tuple[int, ...] = ()
    water: Sea | Lake = Lake()
    type_: str = msgspec.field(default="t", name="_type")
    Upper: int = 0


class Loose(Document, frozen=True, kw_only=True):
    fraction: float
    number: int = 0


TEXT = st.text(max_size=8) | st.sampled_from(
    ['"', "\\", "\x00", "\x1f", "\x7f", "\u2028", "\ufb33", "\U0001f600", "é", ":1234567890123456"]
)
NUMBER = st.integers() | st.sampled_from(
    [0, -1, 10**15 - 1, 10**15, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 2**70]
)
LEAF = st.builds(Leaf, n=NUMBER, zeta=TEXT, alpha=st.booleans() | st.none())
TREE = st.builds(
    Tree,
    table=st.dictionaries(TEXT, LEAF, max_size=4),
    words=st.lists(TEXT, max_size=4).map(tuple),
    numbers=st.lists(NUMBER, max_size=4).map(tuple),
    water=st.builds(Sea, after=NUMBER) | st.builds(Lake, name=TEXT),
    type_=TEXT,
    Upper=NUMBER,
)


@given(TREE)
def test_what_is_written_is_rfc_8785(tree: Tree) -> None:
    try:
        expected = rfc8785.dumps(msgspec.to_builtins(tree))
    except rfc8785.CanonicalizationError:
        with pytest.raises(InputError, match="has no canonical form"):
            encode_canonical(tree)
    else:
        assert encode_canonical(tree) == expected
        assert decode_canonical(expected, Tree, "tree") == tree
        assert decode_json(expected, Tree, "tree") == tree


def test_half_a_pair_has_no_canonical_form() -> None:
    with pytest.raises(InputError, match="has no canonical form"):
        encode_canonical(Leaf(n=1, zeta="\ud800"))


@given(TREE, st.data())
def test_both_ways_say_the_same_of_any_bytes(tree: Tree, data: st.DataObject) -> None:
    written = msgspec.json.encode(tree, order="sorted")
    start = data.draw(st.integers(0, len(written)))
    end = data.draw(st.integers(start, min(len(written), start + 3)))
    new = data.draw(
        st.sampled_from([b"", b" ", b"0", b"-", b".0", b"e1", b'"', b"\\", b",", b"\xc3\xa9"])
        | st.binary(max_size=2)
        | st.just(written[start:end] * 2)
    )
    spoiled = written[:start] + new + written[end:]
    assert _quickly(spoiled) == _carefully(spoiled)


@pytest.mark.parametrize(
    "data",
    [
        b'{"n":1,"n":1}',
        b'{"alpha":null,"n":1,"n":1,"zeta":"z"}',
        b'{"alpha":null,"n":1.0,"zeta":"z"}',
        b'{"alpha":null,"n":-0,"zeta":"z"}',
        b'{"alpha":null,"n":01,"zeta":"z"}',
        b'{"alpha":null,"n":1e3,"zeta":"z"}',
        b'{"alpha":null,"n":1E3,"zeta":"z"}',
        b'{"alpha":null,"n":9007199254740991,"zeta":"z"}',
        b'{"alpha":null,"n":9007199254740992,"zeta":"z"}',
        b'{"alpha":null,"n":-9007199254740992,"zeta":"z"}',
        b'{"alpha":null,"n":36893488147419103232,"zeta":"z"}',
        b'{"alpha":null,"n":1,"zeta":"\x7f"}',
        b'{"alpha":null,"n":1,"zeta":"\\u00e9"}',
        b'{"alpha":null,"n":1,"zeta":"\\/"}',
        b'{"alpha":null,"n":1,"zeta":"\xc3\xa9"}',
        b'{"alpha":null,"n":1,"zeta":"\xff"}',
        b'{"alpha":null,"n":1,"zeta":":1.5"}',
        b'{"alpha":null,"n":1,"zeta":"z"}',
        b'{"alpha":null,"n":1,"zeta":"z"} ',
        b'{"n":1,"alpha":null,"zeta":"z"}',
        b'{"n":1}',
        b"[]",
        b"1",
        b"",
    ],
)
def test_both_ways_say_the_same_of_one_leaf(data: bytes) -> None:
    table = b'{"Upper":0,"_type":"t","numbers":[],"table":{"a":%b},"water":{"kind":"lake"},' % data
    for each in (data, table + b'"words":[]}'):
        assert _quickly(each) == _carefully(each)


@pytest.mark.parametrize(
    "text", ["1", "1.5", "1e400", "-0", "0", "1.0", "12345678901234567", "null", "NaN"]
)
def test_fractions_are_read_and_written_the_careful_way(text: str) -> None:
    data = b'{"fraction":%b,"number":0}' % text.encode()
    assert _outcome(decode_canonical, data, Loose) == _outcome(_canonical_carefully, data, Loose)


def _outcome(decode: object, data: bytes, into: type[Document]) -> object:
    try:
        return decode(data, into, "x")  # type: ignore[operator]
    except InputError as error:
        return str(error), error.hint


def _quickly(data: bytes) -> list[object]:
    return [
        _outcome(decode, data, into)
        for decode in (decode_canonical, decode_json)
        for into in (Tree, Leaf)
    ]


def _carefully(data: bytes) -> list[object]:
    return [
        _outcome(decode, data, into)
        for decode in (_canonical_carefully, strict.read_json)
        for into in (Tree, Leaf)
    ]


def _canonical_carefully(data: bytes, into: type[Document], where: str) -> Document:
    value = strict.read_json(data, into, where)
    written = strict.write_canonical(value)
    if written != data:
        hint = "signed documents are RFC 8785 JSON; do not re-format them"
        raise strict.other_form("not in canonical form", data, written, where, hint)
    return value


# --- no fraction in any document ---------------------------------------------------------------


def _documents(above: type[Document] = Document) -> Iterator[type[Document]]:
    for each in above.__subclasses__():
        if each.__module__.startswith("relsign."):
            yield each
        yield from _documents(each)


def _kinds(kind: inspect.Type) -> Iterator[inspect.Type]:
    """Return a type and all that is written inside it, structures left to themselves."""
    yield kind
    inner: list[inspect.Type] = []
    match kind:
        case inspect.UnionType(types=kinds):
            inner = list(kinds)
        case inspect.DictType(key_type=key, value_type=value):
            inner = [key, value]
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            inner = [item]
        case inspect.TupleType(item_types=items):
            inner = list(items)
        case inspect.Metadata(type=item):
            inner = [item]
    for each in inner:
        yield from _kinds(each)


def test_no_document_has_a_field_for_a_fraction_or_for_anything() -> None:
    """A NaN in one would be written as null; the quick way relies on there being none."""
    for module in pkgutil.iter_modules(relsign.formats.__path__):
        importlib.import_module(f"relsign.formats.{module.name}")
    loose: list[str] = []
    found = list(_documents())
    for each in found:
        structure = inspect.type_info(each)
        assert isinstance(structure, inspect.StructType)
        for field in structure.fields:
            bad = inspect.FloatType | inspect.AnyType | inspect.RawType | inspect.DecimalType
            # What is read twice, the second time as text, is no value of a document.
            if each is not _Unread and any(isinstance(kind, bad) for kind in _kinds(field.type)):
                loose.append(f"{each.__qualname__}.{field.name}")
    assert len(found) > 30
    assert loose == []
