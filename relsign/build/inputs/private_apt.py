"""An apt of our own: the machine's archives and keys, none of its other settings.

Resolving a builder definition must not depend on what this machine has installed,
pinned or enabled.  So state, cache, preferences and the list of sources are a
temporary folder's.  Taken from the machine are the archive addresses, the key
each is signed by, and the ``Acquire`` settings (proxies, certificates, times).

    with private_apt(definition, mirrors=()) as apt:
        packages = apt.resolve(definition.packages)
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import deb822

from relsign.build.inputs.mirrors import (
    IndexTarget,
    apt_folder,
    index_targets,
    last_words,
    parse_mirror,
)
from relsign.errors import HostError, InputError
from relsign.formats.lock import Architecture, BuilderDefinition, LockedPackage, SourcePackage
from relsign.formats.names import Digest
from relsign.system.fetch import network_environment
from relsign.system.files import read_bounded
from relsign.system.process import require_program, run_program

APT_SECONDS = 1800
MAX_SOURCES_BYTES = 1 << 20
MAX_VERSIONS_SHOWN = 5
# apt counts itself among the essential packages; a build has no use for it, and
# without it nineteen packages stay out of the environment.
ESSENTIAL = "?essential ?not(?name(^apt$))"
MACHINE_TRUST = {
    "Dir::Etc::trusted": "/etc/apt/trusted.gpg",
    "Dir::Etc::trustedparts": "/etc/apt/trusted.gpg.d/",
    "Dir::Etc::netrc": "/etc/apt/auth.conf",
    "Dir::Etc::netrcparts": "/etc/apt/auth.conf.d/",
}
_INSTALLED = re.compile(
    r"Inst (?P<name>\S+) \((?P<version>\S+) [^()]*\[(?P<architecture>[a-z0-9]+)\]\)"
)
_SETTING = re.compile(r'Acquire::(?!IndexTargets|Languages|GzipIndexes|Allow)[^"\s]* "[^"]*";')
_SIGNED_BY = re.compile(r"\bsigned-by=([^\s\]]+)")


@dataclass(frozen=True, slots=True)
class _Chosen:
    name: str
    version: str
    architecture: str

    @property
    def word(self) -> str:
        """The package as apt wants it asked for."""
        return f"{self.name}:{self.architecture}={self.version}"


class PrivateApt:
    """Asks apt about one suite, in a folder of its own; made by `private_apt`."""

    def __init__(self, folder: Path, definition: BuilderDefinition) -> None:
        """Use a folder whose configuration and lists are in place."""
        self._folder = folder
        self._definition = definition

    def resolve(
        self, packages: Sequence[str], sources: Sequence[SourcePackage] = ()
    ) -> tuple[LockedPackage, ...]:
        """Return the essential packages, `packages`, and all they depend on, by name.

        What `sources` need to be built comes along, their architecture's part and the
        other one, and ``build-essential`` with it (Debian Policy 7.7).  Recommendations
        are not followed.  Raises InputError if apt finds no way or a version is not served.
        """
        needed = self._build_dependencies(sources) if sources else set()
        words = sorted(one.word for one in needed)
        chosen = self._chosen("install", ESSENTIAL, *packages, *words, where="packages")
        return self._described(chosen)

    def _build_dependencies(self, sources: Sequence[SourcePackage]) -> set[_Chosen]:
        """Return what apt would install to build all of them in one place."""
        for source in sources:
            served = self._source_versions(source.package)
            if source.version not in served:
                raise InputError(
                    "the archive does not serve this version of the source package",
                    where="builder.toml: build_dependencies_of",
                    expected=f"{source.package} {source.version}",
                    got=", ".join(served[:MAX_VERSIONS_SHOWN]) or "no such source package",
                    hint="name a served version, or an archive that still has it with --mirror",
                )
        words = (f"{source.package}={source.version}" for source in sources)
        return self._chosen("build-dep", *words, where="build_dependencies_of")

    def _source_versions(self, package: str) -> tuple[str, ...]:
        """Return the versions of a source package in the suite, as listed."""
        # apt-cache fails for a name it does not know: that is an answer here, no fault.
        command = [require_program("apt-cache", "apt"), "showsrc", "--only-source", package]
        result = run_program(command, environment=_environment(self._folder))
        text = result.stdout.decode("utf-8", "replace")
        entries = deb822.Sources.iter_paragraphs(text, use_apt_pkg=False)
        return tuple(dict.fromkeys(str(entry["Version"]) for entry in entries))

    def _chosen(self, *words: str, where: str) -> set[_Chosen]:
        """Return what apt would install, in a simulation; raise InputError if it finds no way."""
        result = run_program(
            [require_program("apt-get", "apt"), "-s", "-qq", *words],
            environment=_environment(self._folder),
            timeout_seconds=APT_SECONDS,
        )
        if result.returncode:
            raise InputError(
                "apt cannot install these packages",
                where=f"builder.toml: {where}",
                got=last_words(result.stderr),
                hint="the suite must hold them, and all they need, together",
            )
        return {
            _Chosen(**found.groupdict())
            for found in map(_INSTALLED.match, result.stdout.decode().splitlines())
            if found
        }

    def _described(self, chosen: set[_Chosen]) -> tuple[LockedPackage, ...]:
        """Return the archive's own words on each package."""
        text = _run(self._folder, "apt-cache", "show", *sorted(one.word for one in chosen))
        packages: dict[str, LockedPackage] = {}
        for entry in deb822.Packages.iter_paragraphs(text, use_apt_pkg=False):
            package = _locked(entry)
            packages[package.name] = package
        missing = sorted({one.name for one in chosen} - packages.keys())
        if missing:
            raise HostError("apt does not describe what it chose", got=", ".join(missing))
        return tuple(packages[name] for name in sorted(packages))

    def release_epoch(self) -> int:
        """Return the time of the suite's signed Release file, in seconds since 1970."""
        wanted = _suite(self._definition)
        for path in sorted((self._folder / "state/lists").glob("*_InRelease")):
            release = deb822.Release(read_bounded(path, MAX_SOURCES_BYTES))
            if wanted in {release.get("Codename"), release.get("Suite")}:
                return int(email.utils.parsedate_to_datetime(release["Date"]).timestamp())
        raise HostError("the suite has no signed Release file", got=wanted)


def _locked(entry: deb822.Packages) -> LockedPackage:
    architectures: dict[str, Architecture] = {"amd64": "amd64", "arm64": "arm64", "all": "all"}
    return LockedPackage(
        name=entry["Package"],
        version=entry["Version"],
        architecture=architectures[entry["Architecture"]],
        sha256=Digest(entry["SHA256"]),
        size=int(entry["Size"]),
        path=entry["Filename"],
    )


@contextmanager
def private_apt(definition: BuilderDefinition, mirrors: Sequence[str]) -> Iterator[PrivateApt]:
    """Yield an apt that knows only the definition's suite and components, then remove it.

    `mirrors` replace the machine's archive addresses, not its keys.  Raises
    InputError if the machine has no source for the suite and none is given,
    HostError if its lists cannot be fetched or are not signed.
    """
    suite = _suite(definition)
    targets = [
        target
        for target in index_targets()
        if suite in {target.release, target.codename} and target.component in definition.components
    ]
    addresses = [parse_mirror(text) for text in mirrors] or [target.uri for target in targets]
    if not addresses:
        raise InputError(
            "no apt source of this machine has the suite",
            where="builder.toml: suite",
            got=suite,
            hint="add one to the machine's apt sources, or name one with --mirror",
        )
    with apt_folder() as folder:
        # apt's own user reads these; the temporary folder is closed to others.
        folder.chmod(0o755)
        _lay_out(folder, definition, dict.fromkeys(addresses), _signed_by(targets))
        _run(folder, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
        yield PrivateApt(folder, definition)


def _suite(definition: BuilderDefinition) -> str:
    """Return the suite; raise InputError for a definition whose base is an image."""
    if definition.suite is None:
        raise InputError(
            "no suite to resolve packages in",
            where="builder.toml: suite",
            hint='only the base "debian" has packages',
        )
    return definition.suite


def _lay_out(
    folder: Path, definition: BuilderDefinition, addresses: dict[str, None], signed_by: str
) -> None:
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d"):
        (folder / name).mkdir(parents=True)
    for name in ("etc/preferences.d", "etc/sources.list.d"):
        (folder / name).mkdir()
    (folder / "status").touch()
    fields = {
        # Lists of sources are long, and most environments have no use for them.
        "Types": "deb deb-src" if definition.build_dependencies_of else "deb",
        "URIs": " ".join(addresses),
        "Suites": _suite(definition),
        "Components": " ".join(definition.components),
        "Architectures": definition.architecture,
    }
    if signed_by:
        fields["Signed-By"] = signed_by
    source = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (folder / "etc/sources.list.d/archive.sources").write_text(source, "utf-8")
    (folder / "apt.conf").write_text(_configuration(folder, definition.architecture), "utf-8")


def _configuration(folder: Path, architecture: str) -> str:
    dump = run_program([require_program("apt-config", "apt"), "dump"]).stdout.decode()
    machine = [line for line in dump.splitlines() if _SETTING.fullmatch(line)]
    ours = MACHINE_TRUST | {
        "Dir::State": f"{folder}/state/",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache/",
        "Dir::Etc": f"{folder}/etc/",
        "Dir::Log": f"{folder}/",
        "APT::Architecture": architecture,
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        # Whatever the machine tolerates: a lock is made from signed lists only.
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
        "Acquire::AllowDowngradeToInsecureRepositories": "false",
    }
    lines = [*machine, "#clear APT::Architectures;"]
    lines += [f'{key} "{value}";' for key, value in ours.items()]
    return "\n".join([*lines, f'APT::Architectures {{ "{architecture}"; }};', ""])


def _signed_by(targets: Sequence[IndexTarget]) -> str:
    """Return the machine's own rule which key may sign the suite, or nothing."""
    for target in targets:
        path, _, number = target.entry.rpartition(":")
        text = read_bounded(Path(path), MAX_SOURCES_BYTES).decode("utf-8", "replace")
        if path.endswith(".sources"):
            stanzas = list(deb822.Deb822.iter_paragraphs(text, use_apt_pkg=False))
            found = str(stanzas[int(number) - 1].get("Signed-By", ""))
        else:
            option = _SIGNED_BY.search(text.splitlines()[int(number) - 1])
            found = option[1].replace(",", " ") if option else ""
        if found:
            return found
    return ""


def _environment(folder: Path) -> dict[str, str]:
    return {**network_environment(), "APT_CONFIG": f"{folder}/apt.conf"}


def _run(folder: Path, program: str, *words: str) -> str:
    command = [require_program(program, "apt"), *words]
    result = run_program(command, environment=_environment(folder), timeout_seconds=APT_SECONDS)
    if result.returncode:
        raise HostError(f"{program} failed", got=last_words(result.stderr))
    return result.stdout.decode("utf-8", "replace")
