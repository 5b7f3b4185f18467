"""Links: evidence of one step, bound to one release, and never a layout."""

from __future__ import annotations

import pathlib

import msgspec
import pytest
from in_toto.models.link import Link as ReferenceLink
from in_toto.models.metadata import Metadata as ReferenceMetadata

from relsign.errors import InputError
from relsign.formats.link import (
    MAX_HEARD,
    MAX_TWINS,
    Byproducts,
    Host,
    Link,
    Sha256,
    link_file_name,
    parse_link,
)
from relsign.formats.names import Digest
from relsign.formats.twin import Twin
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BB,
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
    (("name",), "test", "name", "expected build or check or source, got 'test'"),
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


# --- byproducts --------------------------------------------------------------------------------

HOST = Host(engine="docker", engine_version="20.10.24", platform="x86_64", environment="debian-12")
OPENED = Byproducts(host=HOST, commitment_salt=AA, heard=(AA, BB))
BAD_WORDS = (
    "",
    "Docker",
    "docker engine",
    "../docker",
    "/usr",
    "-x",
    ".x",
    "_x",
    "a\n",
    "a\x1b",
    "a\u202e",
    "\uff44ocker",
    "x" * 65,
)


def opened(step: str = "build") -> object:
    link: Link = msgspec.structs.replace(make_link(), byproducts=OPENED)
    return change(plain(link), ("name",), step)


BYPRODUCT_ROWS: list[Row] = [
    (("host", "hostname"), "alice-laptop", "byproducts.host", "unknown field (got hostname)"),
    (("host", "engine"), REMOVE, "byproducts.host", "field missing (expected engine)"),
    (("host", "platform"), REMOVE, "byproducts.host", "field missing (expected platform)"),
    (("host", "environment"), REMOVE, "byproducts.host", "field missing (expected environment)"),
    (("host", "engine_version"), None, "byproducts.host", ""),
    (("host", "engine_version"), "1 2", "byproducts.host.engine_version", "up to 64"),
    (("host",), "docker", "byproducts.host", "expected a table"),
    (("host",), None, "byproducts", ""),
    (("commitment_salt",), REMOVE, "byproducts", "stand together"),
    (("heard",), REMOVE, "byproducts", "stand together"),
    (("heard",), [BB, AA], "byproducts", "heard is not sorted"),
    (("heard",), [AA, AA], "byproducts", "commitment named twice"),
    (("heard",), AA, "byproducts.heard", "expected a list"),
    (("heard",), [f"{n:064x}" for n in range(MAX_HEARD + 1)], "byproducts.heard", "256"),
    *((("commitment_salt",), bad, "byproducts.commitment_salt", "") for bad in BAD_DIGESTS),
    *((("heard", 0), bad, "byproducts", "") for bad in BAD_DIGESTS),
    *(
        (("host", field), bad, f"byproducts.host.{field}", "up to 64")
        for field in ("engine", "platform", "environment")
        for bad in BAD_WORDS
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), BYPRODUCT_ROWS)
def test_wrong_byproducts_are_refused(path: Path, new: object, where: str, words: str) -> None:
    data = dump(change(opened(), ("byproducts", *path), new))
    with pytest.raises(InputError) as caught:
        parse_link(data)
    assert caught.value.where.startswith(f"link: {where}")
    assert words in str(caught.value)


def test_byproducts_are_read_back_and_what_is_not_said_is_not_written() -> None:
    assert parse_link(dump(opened())).byproducts == OPENED
    assert b'"byproducts":{}' in make_link().to_bytes()
    bare = Byproducts(host=Host(engine="podman", platform="aarch64", environment="alpine-3.20"))
    link = msgspec.structs.replace(make_link(), byproducts=bare)
    assert parse_link(link.to_bytes()) == link
    assert b"engine_version" not in link.to_bytes()
    assert b"heard" not in link.to_bytes()


def test_nobody_heard_is_a_list_of_nobody() -> None:
    alone = Byproducts(commitment_salt=AA, heard=())
    link = msgspec.structs.replace(make_link(), byproducts=alone)
    assert parse_link(link.to_bytes()).byproducts.heard == ()


@pytest.mark.parametrize("step", ["source", "check"])
def test_only_a_build_opens_a_commitment(step: str) -> None:
    data = dump(change(opened(step), ("products",), {}))
    assert_refused(parse_link, data, "link", "commitment_salt stands in a link of another step")


# --- what building again showed ----------------------------------------------------------------

TWINS = (
    Twin(target="a", verdict="different", varied=("locale", "time"), causes=("embedded-time",)),
    Twin(target="b", verdict="identical", varied=("time",)),
    Twin(target="c", verdict="normalised", varied=(), normalisers=("gzip-1",)),
)


def with_twins(*twins: Twin, step: str = "build") -> object:
    link: Link = msgspec.structs.replace(make_link(), byproducts=Byproducts(twins=twins))
    return change(plain(link), ("name",), step)


def test_twins_are_read_back() -> None:
    link = parse_link(dump(with_twins(*TWINS)))
    assert link.byproducts.twins == TWINS
    assert b"twins" not in make_link().to_bytes()


def twin_of(target: str) -> object:
    return plain(Twin(target=target, verdict="identical", varied=()))


TWIN = ("byproducts", "twins")
TWIN_ROWS: list[Row] = [
    (TWIN, [], "byproducts.twins", "length >= 1"),
    (TWIN, None, "byproducts.twins", "expected a list"),
    (TWIN, [plain(TWINS[1]), plain(TWINS[0])], "byproducts", "twins are not sorted by target"),
    (TWIN, [plain(TWINS[1])] * 2, "byproducts", "twin named twice: b"),
    (
        TWIN,
        [twin_of(f"t{n:03}") for n in range(MAX_TWINS + 1)],
        "byproducts.twins",
        "length <= 100",
    ),
    ((*TWIN, 0, "verdict"), "equal", "byproducts.twins[0].verdict", "got 'equal'"),
    ((*TWIN, 0, "host"), "x", "byproducts.twins[0]", "unknown field (got host)"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), TWIN_ROWS)
def test_wrong_twins_are_refused(path: Path, new: object, where: str, words: str) -> None:
    data = dump(change(with_twins(*TWINS), path, new))
    assert_refused(parse_link, data, f"link: {where}", words)


@pytest.mark.parametrize("step", ["source", "check"])
def test_only_a_build_has_a_twin(step: str) -> None:
    data = dump(change(with_twins(*TWINS, step=step), ("products",), {}))
    assert_refused(parse_link, data, "link", "twins stand in a link of another step than build")


# --- checks ------------------------------------------------------------------------------------


def test_a_check_is_read_back() -> None:
    link = msgspec.structs.replace(make_link(), name="check", products={})
    assert parse_link(link.to_bytes()) == link
    # Beside a build's link too, which is not like it.
    assert parse_link(link.to_bytes(), like=make_link()) == link


@pytest.mark.parametrize("like", [None, make_link()])
def test_a_check_makes_nothing(like: Link | None) -> None:
    data = dump(change(WHOLE, ("name",), "check"))
    assert_refused(lambda data: parse_link(data, like=like), data, "link", "a check has products")


def test_the_reference_reads_byproducts_as_they_are(tmp_path: pathlib.Path) -> None:
    link = msgspec.structs.replace(make_link(), byproducts=OPENED)
    (tmp_path / "file").write_bytes(make_envelope(link.to_bytes()).to_bytes())
    reference = ReferenceMetadata.load(tmp_path / "file").get_payload()
    assert isinstance(reference, ReferenceLink)
    assert reference.byproducts == plain(OPENED)


LIKE = make_link()


@pytest.mark.parametrize(
    ("changes", "is_shared"),
    [
        ({}, True),
        ({"byproducts": Byproducts(commitment_salt=Digest(AA), heard=(Digest(BB),))}, True),
        ({"command": ("other",)}, True),
        ({"products": LIKE.products | {"more": Sha256(sha256=Digest(AA))}}, False),
        ({"products": dict.fromkeys(LIKE.products, Sha256(sha256=Digest("9" * 64)))}, False),
        ({"materials": {}}, False),
    ],
)
def test_what_two_builders_say_alike_is_read_once(
    changes: dict[str, object], *, is_shared: bool
) -> None:
    payload = msgspec.structs.replace(LIKE, **changes).to_bytes()
    link = parse_link(payload, like=LIKE)
    assert link == parse_link(payload)
    assert (link.products is LIKE.products) is is_shared
    assert (link.materials is LIKE.materials) is is_shared


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused_beside_a_good_link_too(
    path: Path, new: object, where: str, words: str
) -> None:
    def parse(data: bytes) -> object:
        return parse_link(data, like=LIKE)

    place = f"link: {where}" if where else "link"
    assert_refused(parse, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"\xff", LIKE.to_bytes() + b" ", b" " + LIKE.to_bytes()]
)
def test_other_bytes_are_refused_beside_a_good_link_too(payload: bytes) -> None:
    with pytest.raises(InputError):
        parse_link(payload, like=LIKE)


def test_an_opening_of_another_step_is_refused_beside_a_good_link_too() -> None:
    source = msgspec.structs.replace(LIKE, name="source").to_bytes()
    salted = b'"byproducts":{"commitment_salt":"' + AA.encode() + b'","heard":[]}'
    with pytest.raises(InputError, match="commitment_salt"):
        parse_link(source.replace(b'"byproducts":{}', salted), like=LIKE)
