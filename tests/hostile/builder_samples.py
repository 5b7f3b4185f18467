"""A good document of every kind that the builders read and write."""

from __future__ import annotations

import msgspec

from relsign.formats.canonical import decode_canonical, encode_canonical
from relsign.formats.cargo_lock import parse_cargo_lock
from relsign.formats.go_sum import parse_go_sum
from relsign.formats.inputs import parse_inputs
from relsign.formats.link import Byproducts, parse_link
from relsign.formats.lock import parse_lock
from relsign.formats.npm_lock import parse_npm_lock
from relsign.formats.npm_package import parse_programs
from relsign.formats.twin import Twin
from tests.formats import test_cargo_lock, test_go_sum, test_inputs, test_npm_lock, test_twin
from tests.formats.dependency_samples import make_image_lock, make_rich_lock
from tests.formats.samples import Sample, make_link

NPM_LOCK = test_npm_lock.lock(
    {
        "": {"name": "p"},
        "node_modules/@a/b": test_npm_lock.entry(os=["linux"], cpu=["x64"], optional=True),
        "node_modules/c/node_modules/@a/b": test_npm_lock.entry(peer=True),
        "node_modules/c": test_npm_lock.entry(name="real", integrity=test_npm_lock.OTHER),
        "node_modules/c/node_modules/in": {"version": "9.9.9", "inBundle": True},
    }
)
NPM_PACKAGE = b'\xef\xbb\xbf{"bin": {"a": "./a.js", "b": 3}, "directories": {"bin": "./tools"}}'
TWINS = (
    test_twin.SAME,
    msgspec.structs.replace(test_twin.NEARLY, target="other"),
    msgspec.structs.replace(test_twin.OTHER, target="third"),
)
LINK = msgspec.structs.replace(make_link(), byproducts=Byproducts(twins=TWINS))


def _programs(data: bytes) -> dict[str, str]:
    return parse_programs(data, "@scope/name", ("package.json", "tools/run", "tools/.hidden"))


def _twin(data: bytes) -> Twin:
    return decode_canonical(data, Twin, "twin", max_bytes=1 << 20)


CANONICAL = {
    "inputs": Sample(parse_inputs, test_inputs.INPUTS.to_bytes()),
    "link with twins": Sample(parse_link, LINK.to_bytes()),
    "twin": Sample(_twin, encode_canonical(test_twin.OTHER)),
}
REVIEWABLE = {
    "lock of an image": Sample(parse_lock, make_image_lock().to_bytes()),
    "lock of every language": Sample(parse_lock, make_rich_lock().to_bytes()),
}
FOREIGN = {"npm lock": Sample(lambda data: parse_npm_lock(data, "amd64"), NPM_LOCK)}
TABLES = {"cargo lock": Sample(parse_cargo_lock, test_cargo_lock.SAMPLE)}
TEXTS = {
    "go sum": Sample(parse_go_sum, test_go_sum.SAMPLE.encode()),
    "npm package": Sample(_programs, NPM_PACKAGE),
}
