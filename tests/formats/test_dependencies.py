"""Inputs as package URLs: canonical by the library of their specification, and no server."""

from __future__ import annotations

import msgspec
import pytest
from packageurl import PackageURL

from relsign.formats.dependencies import (
    locked_dependencies,
    package_url,
    source_dependency,
)
from relsign.formats.provenance import PackageUrl
from relsign.formats.recipe import parse_recipe
from tests.formats.dependency_samples import (
    RICH_RECIPE,
    SECRET_URL,
    make_image_lock,
    make_rich_lock,
)
from tests.formats.samples import AA, BB, CC, make_lock

RECIPE = parse_recipe(RICH_RECIPE)
EVERYTHING = (
    *(source_dependency(source) for source in RECIPE.source),
    *locked_dependencies(make_rich_lock()),
    *locked_dependencies(make_image_lock()),
)


@pytest.mark.parametrize("url", sorted({item.url for item in EVERYTHING}))
def test_urls_are_in_canonical_form_and_fit_provenance(url: str) -> None:
    assert PackageURL.from_string(url).to_string() == url
    assert msgspec.convert(url, PackageUrl) == url


def test_no_address_and_no_password_is_repeated() -> None:
    assert SECRET_URL in RICH_RECIPE.decode()
    for item in EVERYTHING:
        for secret in ("t0ken", "invalid", "//", "ssh"):
            assert secret not in item.url


def test_every_locked_file_is_there_once() -> None:
    found = {item.ecosystem: item for item in locked_dependencies(make_rich_lock())}
    assert set(found) == {"cargo", "deb", "golang", "npm", "pypi"}
    assert len(locked_dependencies(make_rich_lock())) == 6
    urls = [item.url for item in locked_dependencies(make_rich_lock())]
    assert urls == sorted(urls)


def test_a_module_without_its_zip_is_its_go_mod() -> None:
    whole, only = (i for i in locked_dependencies(make_rich_lock()) if i.ecosystem == "golang")
    assert (whole.sha256, only.sha256) == (AA, CC)
    assert only.url == "pkg:golang/example.org/only@v0.1.0#go.mod"


def test_an_old_name_of_npm_keeps_its_capitals() -> None:
    assert package_url("npm", ("JSONStream",), "1.3.5") == "pkg:npm/JSONStream@1.3.5"


def test_an_image_has_the_digest_of_its_manifest() -> None:
    image = locked_dependencies(make_image_lock())[0]
    assert (image.name, image.version, image.sha256) == ("library/debian", f"sha256:{AA}", BB)


def test_an_environment_without_languages_has_none() -> None:
    kinds = [item.ecosystem for item in locked_dependencies(make_lock())]
    assert kinds == ["deb", "pypi"]


@pytest.mark.parametrize(
    ("name", "version"),
    [("a b", "1"), ("a@b", "1/2"), ("a?b=c", "1#2"), ("a%2Fb", "é"), ("a&b", "1+2~3")],
)
def test_odd_letters_cannot_change_what_a_url_says(name: str, version: str) -> None:
    url = package_url("generic", (name,), version, file_name=f"{name}&x=y")
    read = PackageURL.from_string(url)
    assert (read.name, read.version) == (name, version)
    assert read.qualifiers == {"file_name": f"{name}&x=y"}
