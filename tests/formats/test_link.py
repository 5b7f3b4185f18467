"""Links: evidence of one step, bound to one release, and never a layout."""

from __future__ import annotations

import pathlib

import pytest
from in_toto.models.link import Link as ReferenceLink
from in_toto.models.metadata import Metadata as ReferenceMetadata

from relsign.formats.link import link_file_name, parse_link
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_NAMES,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_envelope,
    make_layout,
    make_link,
    plain,
)

WHOLE = plain(make_link())
ROWS: list[Row] = [
    ((), plain(make_layout()), "_type", "expected link, got 'layout'"),
    (("_type",), "layout", "_type", "expected link, got 'layout'"),
    (("_type",), "Link", "_type", "expected link"),
    (("_type",), REMOVE, "_type", "got nothing"),
    (("name",), "test", "name", "expected build or source, got 'test'"),
    (("name",), "../build", "name", "got '../build'"),
    (("command",), "make", "command", "expected a list"),
    (("command", 0), 1, "command[0]", "expected text, got 1"),
    (("products",), [], "products", "expected a table, got a list"),
    (("products", "gzip"), AA, "products.gzip", "expected a table"),
    (("products", "gzip", "md5"), "x", "products.gzip", "unknown field (got md5)"),
    (("materials", "sources/gzip"), {}, "materials[sources/gzip]", "field missing"),
    (("byproducts", "stdout"), "", "byproducts", "unknown field (got stdout)"),
    (("byproducts",), REMOVE, "byproducts", "expected a table, got nothing"),
    (("environment",), {}, "environment", "field missing (expected project)"),
    (("environment",), REMOVE, "", "field missing (expected environment)"),
    (("environment", "variables"), [], "environment", "unknown field (got variables)"),
    (("environment", "version"), "1.12;id", "environment.version", "up to 64"),
    *(
        (("products", bad), {"sha256": AA}, "products", "file names joined by /")
        for bad in BAD_NAMES
    ),
    *(
        (
            ("materials", "relsign.toml", "sha256"),
            bad,
            "materials[relsign.toml].sha256",
            "64 digits",
        )
        for bad in BAD_DIGESTS
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"link: {where}" if where else "link"
    assert_refused(parse_link, dump(change(WHOLE, path, new)), place, words)


def test_a_path_with_two_digests_is_refused() -> None:
    entry = b'"gzip":{"sha256":"%b"}'
    data = make_link().to_bytes().replace(b'"products":{', b'"products":{%b,' % (entry % b"aa"))
    assert_refused(parse_link, data, "link", "duplicate key (got gzip)")


def test_one_bad_path_of_many_is_named() -> None:
    products = {f"f{i}": {"sha256": AA} for i in range(20_000)}
    for guilty in ("f0", "f12345", "f19999"):
        spoiled = {**products, guilty: {"sha256": "x"}}
        data = dump(change(WHOLE, ("products",), spoiled))
        assert_refused(parse_link, data, f"link: products.{guilty}.sha256", "got 'x'")


def test_file_names_are_in_totos() -> None:
    assert link_file_name("build", AA) == "build.aaaaaaaa.link"


def test_the_reference_reads_what_we_write(tmp_path: pathlib.Path) -> None:
    envelope = make_envelope(make_link().to_bytes())
    (tmp_path / "file").write_bytes(envelope.to_bytes())
    reference = ReferenceMetadata.load(tmp_path / "file").get_payload()
    assert isinstance(reference, ReferenceLink)
    assert reference.name == "build"
    assert reference.command == ["relsign", "build"]
    assert reference.materials == plain(make_link().materials)
    assert reference.products == plain(make_link().products)
    assert reference.environment == {"project": "gzip", "version": "1.12"}
