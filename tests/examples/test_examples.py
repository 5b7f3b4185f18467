"""Every example, real: built and checked, then built again with everything varied.

One store serves them all and stays below out/, so that a second run fetches nothing.
`examples/leaky`, which must come out different, has a test of its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.engine.connection import OTHER_ENGINE
from relsign.cli.init import LANGUAGES
from relsign.formats.recipe import Recipe, parse_recipe
from tests.build.engine_tool import podman_started
from tests.examples.hello import VERSIONS, make_checkout
from tests.examples.published import MISSES, Miss, fetch_published
from tests.projects import PROGRAM

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STORE = ROOT / "out" / "test-store"
BUILDERS = ROOT / "builders"
EXAMPLES = sorted(
    path.parent.name
    for path in (ROOT / "examples").glob("*/relsign.toml")
    if path.parent.name != "leaky"
)
EQUAL = {
    "catdoc_0.95-6~deb12u1_amd64.deb",
    "itsdangerous-2.2.0-py3-none-any.whl",
    "itsdangerous-2.2.0.tar.gz",
    "rich-15.0.0-py3-none-any.whl",
    "rich-15.0.0.tar.gz",
    "securesystemslib-1.6.0-py3-none-any.whl",
}
"""Artifacts that are bit for bit what somebody else published; their recipes hold the digests."""
MAY_STAY = {"cpu-count"}
"""Knobs that need more than the machine that tests may have: a second CPU."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(autouse=True, scope="module")
def other_engine() -> Iterator[None]:
    """Let twins be built by Podman, too."""
    with podman_started() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv(OTHER_ENGINE, url)
        yield


def run_relsign(command: str, project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (PROGRAM, command, "--project", project, "--store", STORE, *words),
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


def recipe_of(example: str) -> Recipe:
    return parse_recipe((ROOT / "examples" / example / "relsign.toml").read_bytes())


def build(projects: Path, example: str) -> Path:
    """Build an example as a person does, once per run; return the folder of its artifacts."""
    project = projects / example
    if not project.exists():
        shutil.copytree(ROOT / "examples" / example, project)
        shutil.copytree(ROOT / "keys" / "upstream", project / "keys" / "upstream")
        for builder in recipe_of(example).builders:
            shutil.copytree(BUILDERS / builder, project / "builders" / builder)
    # What is built already is not built again.
    done = run_relsign("build", project)
    assert done.returncode == 0, done.stderr[-3000:]
    named = recipe_of(example).project
    return project / "release" / f"{named.name}-{named.version}" / "unsigned" / "artifacts"


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("example", EXAMPLES)
def test_built_checked_and_the_same_under_full_variation(
    example: str, projects: Path, tmp_path: Path
) -> None:
    artifacts = build(projects, example)
    wanted = set(recipe_of(example).artifact_names)
    assert {path.name for path in artifacts.iterdir()} == wanted
    kept = tmp_path / "kept"
    done = run_relsign("check", projects / example, "--offline", "--json", f"--keep={kept}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for target in json.loads(done.stdout)["targets"]:
        assert target["verdict"] == "identical"
        assert set(target["not_varied"]) <= MAY_STAY
    # The twins agree with each other; they must agree with what would be released, too.
    twins = [path for path in kept.rglob("*") if path.is_file()]
    assert {path.name for path in twins} == wanted
    for path in twins:
        assert sha256_of(path) == sha256_of(artifacts / path.name), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_init_writes_is_built_and_the_same_under_full_variation(
    language: str, tmp_path: Path
) -> None:
    version = VERSIONS.get(language, "1.0")
    checkout = make_checkout(tmp_path / "checkout", language)
    project = tmp_path / "project"
    words = ("--language", language, "--git", checkout, "--project", project)
    subprocess.run((PROGRAM, "init", "hello", version, *words), check=True)
    # Of the environments ready to use; init's own hold less, and are locked by whoever uses them.
    builder = f"debian-{language}"
    shutil.rmtree(project / "builders" / builder)
    shutil.copytree(BUILDERS / builder, project / "builders" / builder)
    done = run_relsign("check", project, "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (target,) = json.loads(done.stdout)["targets"]
    assert target["verdict"] == "identical"
    assert set(target["not_varied"]) <= MAY_STAY


def expected_digests(recipe: Recipe) -> dict[str, str]:
    """Return the digests that somebody else published, by artifact."""
    stated = [(a.name, a.expect_sha256) for t in recipe.target for a in t.artifact]
    stated += [(p.name, p.expect_sha256) for t in recipe.target for p in t.pack]
    return {name: digest for name, digest in stated if digest}


def test_every_digest_somebody_published_is_met(projects: Path) -> None:
    met: set[str] = set()
    for example in EXAMPLES:
        expected = expected_digests(recipe_of(example))
        if expected:
            artifacts = build(projects, example)
            assert {name: sha256_of(artifacts / name) for name in expected} == expected
            met.update(expected)
    assert met == EQUAL


@pytest.mark.parametrize("miss", MISSES, ids=lambda miss: miss.artifact)
def test_a_known_miss_is_one_and_its_cause_is_named(
    miss: Miss, projects: Path, tmp_path: Path
) -> None:
    published = fetch_published(miss, tmp_path)
    built = build(projects, miss.example) / miss.artifact
    done = subprocess.run(
        (PROGRAM, "diff", built, published, "--json", "--no-diffoscope"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    causes = tuple(cause["name"] for cause in json.loads(done.stdout)["causes"])
    assert causes == miss.causes
    readme = (ROOT / "examples" / miss.example / "README.md").read_text("utf-8")
    assert [cause for cause in causes if f"`{cause}`" not in readme] == []
