"""All four kinds of source, against servers and repositories on this machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.inputs.sources import SourceContext, fetch_source, fetch_sources, pool_path
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.recipe import (
    Archive,
    DebianSource,
    Git,
    PypiSdist,
    UpstreamSignature,
    parse_recipe,
)
from tests.build.gnupg_home import GnuPG
from tests.build.served import served

DATA = b"the source"
WHERE = "relsign.toml: source[3]"
SDIST = "thing-1.0.tar.gz"
TOP = Path(__file__).resolve().parent.parent.parent


def digest_of(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "www").mkdir()
    return tmp_path / "www"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with served(folder) as url:
        yield url


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def context(tmp_path: Path, address: str) -> SourceContext:
    return SourceContext(
        tmp_path / "project", WHERE, mirrors=(f"{address}/debian",), index=f"{address}/simple/"
    )


@pytest.fixture
def gpg() -> Iterator[GnuPG]:
    home = tempfile.mkdtemp(prefix="gpg-")  # a short path, for the agent's socket
    one = GnuPG(Path(home))
    yield one
    one.stop()
    shutil.rmtree(home)


def sign(gpg: GnuPG, data: Path, project: Path) -> UpstreamSignature:
    """Sign a served file beside it, put the author's key into the project, name both."""
    author = gpg.make_key("Ann")
    signature = gpg.sign(data, author)
    (project / "keys").mkdir(parents=True)
    (project / "keys/ann.asc").write_bytes(gpg.certificate(author))
    return UpstreamSignature(
        file=signature.name,
        sha256=digest_of(signature.read_bytes()),
        key="keys/ann.asc",
        fingerprint=author,
    )


# --- archive ------------------------------------------------------------------------------------


def archive(address: str, digest: Digest, signature: UpstreamSignature | None = None) -> Archive:
    return Archive(
        name="a", sha256=digest, url=f"{address}/a.tar", file="a.tar", signature=signature
    )


def test_an_archive_comes_from_its_url_once(
    folder: Path, address: str, store: Store, context: SourceContext
) -> None:
    (folder / "a.tar").write_bytes(DATA)
    seen: list[int] = []
    source = archive(address, digest_of(DATA))
    fetched = fetch_source(source, store, context, lambda done, _total: seen.append(done))
    assert (fetched.name, fetched.file, fetched.size) == ("a", "a.tar", len(DATA))
    assert fetched.sha256 == digest_of(DATA)
    assert seen == [len(DATA)]
    (folder / "a.tar").unlink()
    assert fetch_source(source, store, context) == fetched


def test_other_bytes_name_the_line_of_the_recipe(
    folder: Path, address: str, store: Store, context: SourceContext
) -> None:
    (folder / "a.tar").write_bytes(b"other")
    with pytest.raises(VerificationError) as caught:
        fetch_source(archive(address, digest_of(DATA)), store, context)
    error = caught.value
    assert error.where == "relsign.toml: source[3].sha256"
    assert (error.expected, error.got) == (digest_of(DATA), digest_of(b"other"))


def test_an_archive_nobody_serves_is_named(
    address: str, store: Store, context: SourceContext
) -> None:
    with pytest.raises(HostError) as caught:
        fetch_source(archive(address, digest_of(DATA)), store, context)
    assert caught.value.where == f"{address}/a.tar"


def test_an_authors_signature_lies_beside_and_is_checked_each_time(
    folder: Path, address: str, store: Store, context: SourceContext, gpg: GnuPG
) -> None:
    (folder / "a.tar").write_bytes(DATA)
    signature = sign(gpg, folder / "a.tar", context.project)
    source = archive(address, digest_of(DATA), signature)
    fetched = fetch_source(source, store, context)
    assert fetched.signed is not None
    assert fetched.signed.fingerprint == signature.fingerprint
    (context.project / "keys/ann.asc").write_bytes(gpg.certificate(gpg.make_key("Eve")))
    with pytest.raises(InputError):
        fetch_source(source, store, context)
    (context.project / "keys/ann.asc").unlink()
    with pytest.raises(InputError, match="key file is missing"):
        fetch_source(source, store, context)


def test_a_signature_of_other_bytes_refuses_the_source(
    folder: Path, address: str, store: Store, context: SourceContext, gpg: GnuPG
) -> None:
    (folder / "a.tar").write_bytes(b"first")
    signature = sign(gpg, folder / "a.tar", context.project)
    (folder / "a.tar").write_bytes(DATA)
    with pytest.raises(VerificationError, match="not a good signature"):
        fetch_source(archive(address, digest_of(DATA), signature), store, context)


# --- debian-source ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "path"),
    [
        ("gzip", "pool/main/g/gzip/f"),
        ("libassuan", "pool/main/liba/libassuan/f"),
        ("lib", "pool/main/lib/lib/f"),
        ("libreoffice", "pool/main/libr/libreoffice/f"),
        ("0ad", "pool/main/0/0ad/f"),
    ],
)
def test_the_pools_folders(package: str, path: str) -> None:
    source = DebianSource(name="s", sha256=digest_of(DATA), package=package, file="f")
    assert pool_path(source, "f") == path


def test_a_debian_source_comes_from_a_mirror_with_its_signature(
    folder: Path, store: Store, context: SourceContext, gpg: GnuPG
) -> None:
    pool = folder / "debian/pool/main/t/thing"
    pool.mkdir(parents=True)
    (pool / "thing_1.orig.tar.xz").write_bytes(DATA)
    source = DebianSource(
        name="thing",
        sha256=digest_of(DATA),
        package="thing",
        file="thing_1.orig.tar.xz",
        signature=sign(gpg, pool / "thing_1.orig.tar.xz", context.project),
    )
    fetched = fetch_source(source, store, context)
    assert fetched.signed is not None
    shutil.rmtree(folder / "debian")
    assert fetch_source(source, store, context) == fetched


# --- pypi-sdist ---------------------------------------------------------------------------------


def sdist(data: bytes = DATA, *, version: str = "1.0") -> PypiSdist:
    return PypiSdist(
        name="thing", sha256=digest_of(data), package="Thing", version=version, file=SDIST
    )


def index_page(folder: Path, stated: bytes | None) -> None:
    """Write an index of one project, whose page states the digest of `stated`."""
    page = folder / "simple/thing"
    page.mkdir(parents=True)
    fragment = f"#sha256={digest_of(stated)}" if stated is not None else ""
    (page / "index.html").write_text(
        f'<a href="../../files/{SDIST}{fragment}">{SDIST}</a>'
        f'<a href="../../files/other.whl">thing-1.0-py3-none-any.whl</a>'
    )
    (folder / "files").mkdir()
    (folder / "files" / SDIST).write_bytes(DATA)


@pytest.mark.parametrize("stated", [DATA, None])
def test_a_source_distribution_comes_from_the_index(
    folder: Path, store: Store, context: SourceContext, stated: bytes | None
) -> None:
    index_page(folder, stated)
    fetched = fetch_source(sdist(), store, context)
    assert store.path(fetched.sha256).read_bytes() == DATA
    shutil.rmtree(folder / "simple")
    assert fetch_source(sdist(), store, context) == fetched


def test_an_index_that_states_another_digest_is_refused_before_the_download(
    folder: Path, store: Store, context: SourceContext
) -> None:
    index_page(folder, b"other")
    with pytest.raises(VerificationError) as caught:
        fetch_source(sdist(), store, context)
    assert caught.value.where == "relsign.toml: source[3].sha256"
    assert caught.value.got == digest_of(b"other")


def test_an_index_that_serves_other_bytes_is_refused(
    folder: Path, store: Store, context: SourceContext
) -> None:
    index_page(folder, None)
    with pytest.raises(VerificationError, match="wrong digest"):
        fetch_source(sdist(b"other"), store, context)


def test_a_file_or_project_the_index_does_not_have(
    folder: Path, store: Store, context: SourceContext
) -> None:
    with pytest.raises(InputError, match="no such project"):
        fetch_source(sdist(), store, context)
    index_page(folder, DATA)
    with pytest.raises(InputError, match="no such file"):
        fetch_source(sdist(version="1.1"), store, context)


def test_an_index_that_is_not_there(tmp_path: Path, store: Store) -> None:
    context = SourceContext(tmp_path, WHERE, index="http://ann:pw@127.0.0.1:1/simple/")
    with pytest.raises(HostError, match="does not answer") as caught:
        fetch_source(sdist(), store, context)
    assert "pw" not in str(caught.value)


# --- git, and a recipe of many --------------------------------------------------------------------


def test_a_recipe_is_fetched_in_its_order_and_errors_say_which(
    tmp_path: Path, folder: Path, address: str, store: Store, context: SourceContext
) -> None:
    repository = tmp_path / "repository"
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", repository)
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    tar = subprocess.check_output([*git, "archive", "--format=tar", commit])
    (folder / "a.tar").write_bytes(DATA)
    text = f"""
[project]
name = "p"
version = "1"
[[target]]
name = "t"
builder = "b"
source_date_epoch = 0
commands = ["true"]
artifact = [{{ path = "x" }}]
[[source]]
kind = "git"
name = "g"
url = "file://{repository}"
commit = "{commit}"
sha256 = "{digest_of(tar)}"
[[source]]
kind = "archive"
name = "a"
url = "{address}/a.tar"
file = "a.tar"
sha256 = "{digest_of(DATA)}"
"""
    recipe = parse_recipe(text.encode())
    fetched = fetch_sources(recipe, store, context)
    assert [one.name for one in fetched] == ["g", "a"]
    assert isinstance(recipe.source[0], Git)
    assert fetched[0].file == f"g-{commit[:12]}.tar"
    (folder / "a.tar").write_bytes(b"other")
    with pytest.raises(VerificationError) as caught:
        fetch_sources(recipe, Store(tmp_path / "empty"), context)
    assert caught.value.where == "relsign.toml: source[1].sha256"


# --- the real ones ------------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.parametrize("example", ["gzip", "securesystemslib"])
def test_the_examples_sources_are_what_their_recipes_say(example: str, store: Store) -> None:
    recipe = parse_recipe((TOP / "examples" / example / "relsign.toml").read_bytes())
    (fetched,) = fetch_sources(recipe, store, SourceContext(TOP))
    assert (fetched.signed is not None) == (example == "gzip")
