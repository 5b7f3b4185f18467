"""What a publication lists, and a stock client that follows it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tuf.api._payload import TargetFile
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.updater import Updater

from relsign.formats.listing import ListedRelease, parse_timestamp
from relsign.publish.index import read_index
from tests.build.served import served
from tests.projects import Project

Capture = pytest.CaptureFixture[str]
FIRST = "1.0/demo-1.0.relsign"
SECOND = "1.1/demo-1.1.relsign"


def metadata(project: Project) -> Path:
    return project.site / "demo" / "metadata"


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".publish.lock"
    }


def names(project: Project) -> set[str]:
    return {path.name for path in metadata(project).iterdir()}


def releases(project: Project) -> tuple[ListedRelease, ...]:
    return read_index(metadata(project)).releases()


def stamp(project: Project) -> int:
    """Return the version of the timestamp."""
    return parse_timestamp((metadata(project) / "timestamp.json").read_bytes()).signed.version


def make_next(project: Project, version: str = "1.1", *, follows: bool = True) -> None:
    """Turn to another version, build it, and have it signed as the release after 1.0.

    Unless it `follows`, its signers never had the release before on their machine.
    """
    before, aside = project.release.folder, project.folder / "aside"
    if not follows:
        before.rename(aside)
    recipe = project.workspace.recipe_file
    now = f'version = "{project.release.version}"'
    recipe.write_text(recipe.read_text().replace(now, f'version = "{version}"'))
    previous = ("--previous", str(project.published / "demo-1.0.relsign")) if follows else ()
    project.compile()
    for builder in ("builder-a", "builder-b"):
        project.build(builder)
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    for name in ("sam", "sven"):
        assert project.run_signing("sign", "--as", name, "--yes", *previous) == 0
    if not follows:
        aside.rename(before)


def back_to_first(project: Project) -> None:
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.1"', 'version = "1.0"'))


class StockClient:
    """A person with python-tuf and the first root, who looks at the site now and then."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.root = (metadata(project) / "1.root.json").read_bytes()

    def look(self, *targets: str) -> dict[str, TargetFile]:
        """Follow the site over HTTP; return what it lists of some bundles, each downloaded."""
        cache, downloads = self.folder / "cache", self.folder / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        config = UpdaterConfig(prefix_targets_with_hash=False)
        found: dict[str, TargetFile] = {}
        with served(self.project.site / "demo") as url:
            client = Updater(
                str(cache), f"{url}/metadata/", str(downloads), f"{url}/",
                config=config, bootstrap=self.root,
            )  # fmt: skip
            client.refresh()
            for path in targets:
                info = client.get_targetinfo(path)
                assert info is not None, path
                data = Path(client.download_target(info)).read_bytes()
                assert data == (self.project.site / "demo" / path).read_bytes()
                found[path] = info
        return found
