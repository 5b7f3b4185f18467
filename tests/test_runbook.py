"""The runbook, executed: every command block of a section, against a project in that trouble.

In docs/runbook.md a block of commands below a mark is run as it stands:

    <!-- run -->               once; each command must end with exit code 0
    <!-- run until: WORDS -->  again and again, until every command has said WORDS

Each person has a key store of their own.  The page's project is gzip 1.12, the one here
is demo 1.0; what a person would be asked is answered with yes.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.cli.rehearsal.liar import send_false_share
from relsign.sign.groups.nonces import NonceStore
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.sign.keys.vault import Vault
from relsign.system.workspace import Workspace
from tests.groups import GROUP, PEOPLE, Shared, copy_shared, make_shared
from tests.projects import PASSPHRASE, Project
from tests.verify.releases import NAME

RUNBOOK = Path(__file__).resolve().parent.parent / "docs/runbook.md"
BLOCK = re.compile(
    r"^ *<!-- run(?: until: (?P<until>[^>]*?))? -->\n *```sh\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
ASKS = {("ceremony", "join"), ("ceremony", "renew"), ("key", "revoke"), ("sign",)}
"""Commands that ask a person, after showing what it is about."""
MAX_ROUNDS = 8
KEYS = "~/.local/share/relsign/keys/"


@dataclass(frozen=True)
class Block:
    """One block of commands, and what each must have said in the end."""

    commands: tuple[str, ...]
    until: str | None


def sections() -> dict[str, str]:
    parts = re.split(r"(?m)^## (.+)\n", RUNBOOK.read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def here(text: str) -> str:
    """Return the page's words for the project of these tests."""
    return text.replace("1.12", "1.0").replace("gzip", "demo")


def blocks(heading: str) -> Iterator[Block]:
    for found in BLOCK.finditer(sections()[heading]):
        text = here(found["text"]).replace("\\\n", " ")
        lines = tuple(line.strip() for line in text.splitlines() if line.strip())
        if "python3" in text:
            # One command of the shell, over several lines.
            lines = (textwrap.dedent(text),)
        yield Block(lines, None if found["until"] is None else here(found["until"]))


@dataclass
class Trouble:
    """People at a project, working through a section of the page."""

    shared: Shared
    capsys: pytest.CaptureFixture[str]

    @property
    def project(self) -> Project:
        return self.shared.project

    @property
    def workspace(self) -> Workspace:
        return self.shared.project.workspace

    def home(self, name: str) -> Path:
        """Return a person's key store; whoever shares no key has it with the others."""
        return self.shared.homes.get(name, self.project.keys)

    def vault(self, name: str) -> Vault:
        return Vault(self.home(name) / name / "vault")

    def follow(self, heading: str) -> str:
        """Run every block of a section; return all that was said."""
        said = []
        for block in blocks(heading):
            for _round in range(1 if block.until is None else MAX_ROUNDS):
                answers = [self.run(command) for command in block.commands]
                said += answers
                if block.until is None or all(block.until in answer for answer in answers):
                    break
            else:
                raise AssertionError((block, said[-len(block.commands) :]))
        return "".join(said)

    def run(self, command: str) -> str:
        if not command.startswith("relsign "):
            return self._shell(command)
        words = shlex.split(command)[1:]
        if tuple(words[:2]) in ASKS or tuple(words[:1]) in ASKS:
            words.append("--yes")
        self.capsys.readouterr()
        code = self._relsign(words)
        printed = self.capsys.readouterr()
        assert code == 0, (command, printed)
        return printed.out + printed.err

    def _relsign(self, words: list[str]) -> int:
        making = words[:2] == ["key", "new"]
        if not making and "--as" not in words:
            return self.project.run(*words)
        name = words[2] if making else words[words.index("--as") + 1]
        if making:
            home = self.project.folder.parent / f"home-{name}"
            home.mkdir(mode=0o700)
            self.shared.homes[name] = home
        own = Project(self.project.folder, self.home(name), self.project.site)
        code = own.run_outside(*words) if making else own.run_signing(*words)
        if making:
            # The holder hands the card over; the commands of the page find it here.
            (self.project.folder / name).mkdir()
            card = KeyStore(self.home(name)).card_file(name)
            shutil.copy2(card, self.project.folder / name / "member.toml")
        return code

    def _shell(self, command: str) -> str:
        for name in PEOPLE:
            command = command.replace(f"{KEYS}{name}", str(self.home(name) / name))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done)
        return done.stdout + done.stderr

    def is_verified(self) -> bool:
        file = f"site/demo/1.0/{NAME}"
        return execute(["verify", "--root", "site/demo/root.json", file]) == 0

    def signs_anew(self, *names: str) -> bool:
        """Say whether these people can make a release with the present root and shares."""
        recipe = self.workspace.recipe_file
        recipe.write_text(recipe.read_text().replace('"1.0"', '"1.1"'))
        assert self.project.run("policy", "compile") == 0
        self.project.build("builder-a")
        self.project.build("builder-b")
        for owner in ("olga", "oona"):
            assert self.project.run_signing("policy", "sign", "--as", owner) == 0
        previous = "--previous site/demo/1.0/demo-1.0.relsign"
        said = [self.run(f"relsign sign --as {name} {previous}") for name in (*names, *names)]
        return any(f"{GROUP} signed" in each for each in said)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project whose signers share a key and published a release."""
    folder = tmp_path_factory.mktemp("runbook")
    shared = make_shared(folder)
    shared.build()
    shared.sign("sam", "sara", "sam", "sara")
    assert shared.project.run("publish", "--to", str(shared.project.folder / "site")) == 0
    return folder


@pytest.fixture
def trouble(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Trouble]:
    shared = copy_shared(made, tmp_path / "w")
    monkeypatch.chdir(shared.project.folder)
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    yield Trouble(shared, capsys)
    subprocess.run(["gpgconf", "--kill", "all"], check=True)


# --- the release key -----------------------------------------------------------------------------


def shares(trouble: Trouble, name: str) -> list[str]:
    return [each for each in trouble.vault(name).names() if each.startswith("share-")]


def test_a_share_is_lost(trouble: Trouble) -> None:
    shutil.rmtree(trouble.vault("sven").folder)
    assert "✓ repair" in trouble.follow("A share of the release key is lost")
    assert len(shares(trouble, "sven")) == 1
    assert trouble.signs_anew("sven", "sara")


def test_a_laptop_is_stolen(trouble: Trouble) -> None:
    said = trouble.follow("A laptop with a share is stolen")
    assert "revoked the key: laptop stolen" in said
    assert trouble.is_verified()
    assert trouble.signs_anew("sam", "sven-2")


def test_somebody_leaves(trouble: Trouble) -> None:
    said = trouble.follow("Somebody who has a share leaves")
    assert "destroyed share-" in said
    assert shares(trouble, "sven") == []
    assert trouble.is_verified()
    assert trouble.signs_anew("sara", "ines")


def test_the_quorum_is_lost(trouble: Trouble) -> None:
    for name in ("sara", "sven"):
        shutil.rmtree(trouble.vault(name).folder)
    trouble.follow("The quorum of the release key is lost")
    assert "[revoked" in trouble.run("gpg --list-keys")
    assert "BEGIN PGP PUBLIC KEY" in Path(f"{GROUP}.revoked.asc").read_text()
    assert trouble.is_verified()
    members = {member.name for member in trouble.workspace.roster().member}
    assert f"{GROUP}-2" in members
    assert GROUP not in members


def test_a_participant_misbehaves(trouble: Trouble) -> None:
    begin_signing(trouble, "sven", "sam")
    send_false_share(trouble.workspace, trouble.home("sven"), "sven", PASSPHRASE)
    assert "CULPRIT: sven" in trouble.follow("A participant misbehaves")


def begin_signing(trouble: Trouble, *names: str) -> None:
    """Let people sign once each a release that was built and approved anew."""
    shutil.rmtree(trouble.project.release.folder)
    assert trouble.project.run("policy", "compile") == 0
    trouble.shared.build()
    for name in names:
        trouble.run(f"relsign sign --as {name}")


def test_nonces_come_back_from_a_backup(trouble: Trouble) -> None:
    begin_signing(trouble, "sven")
    folder = trouble.home("sven") / "sven" / "nonces"
    assert NonceStore(folder).folder.is_dir()
    backup = shutil.copytree(folder, folder.parent.parent / "backup", copy_function=shutil.copy2)
    shutil.rmtree(folder)
    shutil.copytree(backup, folder, copy_function=shutil.copy2)
    trouble.follow("Nonces were restored from a backup")


def test_the_relay_is_gone(trouble: Trouble) -> None:
    Path("relay").mkdir()
    Path("stick").mkdir()
    dealing = "--dealer sam --dealer sara --exchange relay --as sam"
    trouble.run(f"relsign ceremony reshare {GROUP} {dealing}")
    for name in ("sam", "sara"):
        trouble.run(f"relsign ceremony join {GROUP} --exchange relay --as {name}")
    shutil.rmtree("relay")
    trouble.follow("The relay is gone")
    assert [len(shares(trouble, name)) for name in PEOPLE] == [1, 1, 1]


def test_the_certificate_expires(trouble: Trouble) -> None:
    trouble.follow("The release key's OpenPGP certificate expires")
    assert trouble.is_verified()
    assert trouble.signs_anew("sam", "sara")


# --- the other sections that need no engine ------------------------------------------------------


@pytest.fixture
def plain(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Trouble:
    """Return a project without a release key that published a release."""
    monkeypatch.chdir(project.folder)
    assert project.signed().run("publish", "--to", "site") == 0
    return Trouble(Shared(project, {}), capsys)


def test_an_owner_s_key_is_stolen(plain: Trouble) -> None:
    store = KeyStore(plain.project.folder.parent / "olga-2")
    store.create(
        wanted_member("olga-2", "olga", "acme", ("owner",), "ed25519"), "olga-2", PASSPHRASE, None
    )
    Path("olga-2").mkdir()
    shutil.copy2(store.card_file("olga-2"), "olga-2/member.toml")
    assert "laptop stolen" in plain.follow("An owner's key is stolen")
    assert plain.is_verified()


def test_a_release_is_taken_back(plain: Trouble) -> None:
    assert plain.is_verified()
    said = plain.follow("A release must be taken back")
    assert "built from a tampered tarball" in said
    assert re.search(r"(?m)^[0-9a-f]{64}$", said)
    assert not plain.is_verified()


def test_the_root_expires(plain: Trouble) -> None:
    assert "RENEWED" in plain.follow("The layout or the root expires")
    assert plain.is_verified()


def test_the_layout_changes(plain: Trouble) -> None:
    plain.project.set_policy("builders = 2", "builders = 3")
    plain.project.build("builder-c")
    plain.project.new_root()
    for name in ("olga", "oona"):
        assert plain.project.run_signing("policy", "sign", "--as", name) == 0
    plain.follow("The layout changed after people signed")
    assert plain.project.run("status") == 0


# --- the page ------------------------------------------------------------------------------------

OF_THE_KEY = (
    "A share of the release key is lost",
    "A laptop with a share is stolen",
    "Somebody who has a share leaves",
    "The quorum of the release key is lost",
    "A participant misbehaves",
    "Nonces were restored from a backup",
    "The relay is gone",
    "The release key's OpenPGP certificate expires",
)


@pytest.mark.parametrize("heading", OF_THE_KEY)
def test_every_block_of_the_key_s_sections_is_executed(heading: str) -> None:
    text = sections()[heading]
    assert len(list(blocks(heading))) == text.count("```sh") > 0


def test_every_marked_section_has_its_test() -> None:
    marked = {heading for heading, text in sections().items() if "<!-- run" in text}
    followed = set(re.findall(r'follow\(\s*"([^"]+)"', Path(__file__).read_text()))
    assert marked == followed
    for heading in marked:
        assert sections()[heading].count("<!-- run") == len(list(blocks(heading))), heading
