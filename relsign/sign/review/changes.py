"""What is new in a release beside the one before it: values in, lines for a signer out.

    Since 1.4.1: 14 commits, 2 packages changed, +38 KiB.
      sources
        app: commit 1f0c… → 9ab2…
      …

Both sides are documents that were verified before they come here.  Where a document is
known by its digest only (an old recipe or lock that is not at hand), the lines say that
it changed and that nobody looked inside.

Whoever adds twenty harmless changes could push a bad one out of sight, so what weighs
most stands first in each section, and the line "and N more" is always there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from relsign.formats.canonical import shorten
from relsign.formats.fingerprint import BuiltArtifact, EnvironmentDigest, Fingerprint
from relsign.formats.lock import BuilderLock
from relsign.formats.recipe import Git, Recipe, Source
from relsign.sign.review.differences import differences, named

MAX_LINES = 20
"""Lines of one section, unless all are asked for."""
MAX_SUBJECT = 100
_DIGEST_SHOWN = 12
_ARROW = "→"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two releases."""

    version: str
    fingerprints: tuple[Fingerprint, ...]
    builders: tuple[str, ...]
    """Who agreed on it."""
    owners: tuple[str, ...]
    """Who signed its layout."""
    recipe: Recipe | None = None
    """Only with the digest its fingerprints name."""
    locks: Mapping[str, BuilderLock] = field(default_factory=dict)
    """Digest, as the fingerprints name it -> the lock, as far as it is at hand."""


@dataclass(frozen=True, slots=True)
class Commits:
    """What lies between the commits of a git source."""

    count: int
    gone: int
    """Commits of the release before that are not in this one: history was changed."""
    subjects: tuple[str, ...] = ()
    """First lines of the newest ones, as their authors wrote them."""


@dataclass(frozen=True, slots=True)
class Section:
    """Changes of one kind, the heaviest first."""

    title: str
    lines: tuple[str, ...]
    total: int = 0
    """How many there are where `lines` are only the first."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The sentence a signer reads first, and the sections under it."""

    summary: str
    sections: tuple[Section, ...]

    def lines(self, limit: int | None = MAX_LINES) -> Iterator[str]:
        """Yield what to show: at most `limit` lines of each section, then how many more.

        Texts of strangers are cut and not escaped: whoever prints them does that.
        """
        yield self.summary
        for section in self.sections:
            yield f"  {section.title}"
            yield from (f"    {line}" for line in section.lines[:limit])
            more = max(section.total, len(section.lines)) - len(section.lines[:limit])
            if more:
                yield f"    and {more} more"


def compare(
    before: Side, now: Side, commits: Mapping[str, Commits], root_lines: Sequence[str] = ()
) -> Changes:
    """Return what changed from one verified release to the next.

    `commits` holds what is known of git sources, by name; `root_lines` what changed
    between the roots they were made under, in words.
    """
    source_lines, source_words = _sources(before, now, commits)
    environment_lines, environment_words = _environments(before, now)
    grown = _total(now) - _total(before)
    words = ", ".join((source_words, environment_words, signed_size(grown)))
    found = (
        Section("sources", source_lines),
        *_commit_sections(commits),
        Section("recipe", tuple(_recipe(before, now))),
        Section("environment", environment_lines),
        Section("profile", tuple(_profiles(before, now))),
        Section("artifacts", tuple(_artifacts(before, now))),
        Section("people", tuple(_people(before, now))),
        Section("root", tuple(root_lines)),
    )
    return Changes(f"Since {before.version}: {words}.", tuple(each for each in found if each.lines))


def git_pairs(before: Side, now: Side) -> dict[str, tuple[Git, Git]]:
    """Return the git sources whose commit changed, by name; none where a recipe is missing."""
    old, new = _recipe_sources(before), _recipe_sources(now)
    pairs = {name: (old[name], each) for name, each in new.items() if name in old}
    return {
        name: (one, two)
        for name, (one, two) in pairs.items()
        if isinstance(one, Git) and isinstance(two, Git) and one.commit != two.commit
    }


# --- sources -----------------------------------------------------------------------------------


def _sources(
    before: Side, now: Side, commits: Mapping[str, Commits]
) -> tuple[tuple[str, ...], str]:
    """Return the lines, and the words of the summary."""
    old = {s.name: s.sha256 for f in before.fingerprints for s in f.sources}
    new = {s.name: s.sha256 for f in now.fingerprints for s in f.sources}
    removed = [f"{name}: REMOVED" for name in sorted(old.keys() - new.keys())]
    added = [
        f"{name}: ADDED, {_described(_recipe_sources(now).get(name), digest)}"
        for name, digest in sorted(new.items())
        if name not in old
    ]
    both = (_recipe_sources(before), _recipe_sources(now))
    changed = {}
    for name in sorted(old.keys() & new.keys()):
        lines = _changed_source(both[0].get(name), both[1].get(name), (old[name], new[name]))
        if lines:
            changed[name] = f"{name}: {'; '.join(lines)}"
    counted = [name for name in changed if name in commits]
    words = []
    if counted:
        words.append(_count(sum(commits[name].count for name in counted), "commit"))
    others = len(removed) + len(added) + len(changed) - len(counted)
    if others or not counted:
        words.append(f"{_count(others, 'source')} changed")
    return (*removed, *added, *changed.values()), ", ".join(words)


def _changed_source(old: Source | None, new: Source | None, digests: tuple[str, str]) -> list[str]:
    """Say how one source differs: what its recipes say where both are at hand, else digests."""
    if old is not None and new is not None:
        return list(differences("", named(old), named(new)))
    if digests[0] == digests[1]:
        return []
    return [f"sha256 {_short(digests[0])} {_ARROW} {_short(digests[1])}"]


def _described(source: Source | None, digest: str) -> str:
    where = getattr(source, "url", "") or getattr(source, "package", "")
    return f"{shorten(str(where))} sha256 {_short(digest)}".lstrip()


def _recipe_sources(side: Side) -> dict[str, Source]:
    return {} if side.recipe is None else {source.name: source for source in side.recipe.source}


def _commit_sections(commits: Mapping[str, Commits]) -> list[Section]:
    sections = []
    for name, each in sorted(commits.items()):
        lost = () if not each.gone else (f"{_count(each.gone, 'commit')} of before NOT IN IT",)
        subjects = tuple(_cut(subject) for subject in each.subjects)
        total = each.count + len(lost)
        sections.append(Section(f"commits of {name}", (*lost, *subjects), total))
    return sections


# --- recipe and profile ------------------------------------------------------------------------


def _recipe(before: Side, now: Side) -> Iterator[str]:
    """Say what the recipe asks for besides its sources and the version."""
    old, new = _targets(before), _targets(now)
    yield from (f"target {name}: REMOVED" for name in sorted(old.keys() - new.keys()))
    yield from (f"target {name}: ADDED" for name in sorted(new.keys() - old.keys()))
    digests = [sorted({f.recipe_sha256 for f in s.fingerprints}) for s in (before, now)]
    if digests[0] == digests[1]:
        return
    shown = [", ".join(_short(digest) for digest in each) for each in digests]
    yield f"sha256 {shown[0]} {_ARROW} {shown[1]}"
    if before.recipe is None or now.recipe is None:
        yield f"the recipe of {before.version} is not at hand: read the changes in your repository"
        for name in sorted(old.keys() & new.keys()):
            times = [str(each[name].source_date_epoch) for each in (old, new)]
            if times[0] != times[1]:
                yield f"target {name}: source_date_epoch {times[0]} {_ARROW} {times[1]}"
        return
    one = {target.name: named(target) for target in before.recipe.target}
    two = {target.name: named(target) for target in now.recipe.target}
    for name in sorted(one.keys() & two.keys()):
        for line in differences("", one[name], two[name]):
            yield f"target {name}: {line}"


def _profiles(before: Side, now: Side) -> Iterator[str]:
    old, new = _targets(before), _targets(now)
    for name in sorted(old.keys() & new.keys()):
        one, two = old[name].profile, new[name].profile
        if one != two:
            sides = [f"{each.name} {_short(each.sha256)}" for each in (one, two)]
            yield f"target {name}: {sides[0]} {_ARROW} {sides[1]}"


def _targets(side: Side) -> dict[str, Fingerprint]:
    return {fingerprint.target: fingerprint for fingerprint in side.fingerprints}


# --- environment -------------------------------------------------------------------------------


def _environments(before: Side, now: Side) -> tuple[tuple[str, ...], str]:
    """Return the lines, and the words of the summary."""
    old, new = _environment_digests(before), _environment_digests(now)
    lines = [f"{name}: no longer used" for name in sorted(old.keys() - new.keys())]
    lines += [f"{name}: NEW environment" for name in sorted(new.keys() - old.keys())]
    unseen, packages = len(lines), 0
    for name in sorted(old.keys() & new.keys()):
        one, two = old[name], new[name]
        if one == two:
            continue
        locks = before.locks.get(one.lock_sha256), now.locks.get(two.lock_sha256)
        if locks[0] is None or locks[1] is None:
            unseen += 1
            step = f"{_short(one.lock_sha256)} {_ARROW} {_short(two.lock_sha256)}"
            lines.append(f"{name}: lock {step}; the old one is not at hand: packages unknown")
            continue
        found = tuple(_packages(locks[0], locks[1]))
        packages += len(found)
        lines += [f"{name}: {line}" for line in (*found, *_settings(locks[0], locks[1]))]
    words = [f"{_count(packages, 'package')} changed"] if packages or not unseen else []
    if unseen:
        words.append(f"{_count(unseen, 'environment')} changed")
    return tuple(lines), ", ".join(words)


def _packages(before: BuilderLock, now: BuilderLock) -> Iterator[str]:
    """Yield a line for each package; other bytes under one version come first."""
    old, new = _locked(before), _locked(now)
    same = [n for n in sorted(old.keys() & new.keys()) if old[n] != new[n]]
    for name in (n for n in same if old[n][0] == new[n][0]):
        yield f"{name} {_cut(old[name][0])}: OTHER BYTES under one version"
    yield from (f"{n} {_cut(new[n][0])}: added" for n in sorted(new.keys() - old.keys()))
    yield from (f"{n} {_cut(old[n][0])}: removed" for n in sorted(old.keys() - new.keys()))
    for name in (n for n in same if old[n][0] != new[n][0]):
        yield f"{name} {_cut(old[name][0])} {_ARROW} {_cut(new[name][0])}"


def _locked(lock: BuilderLock) -> dict[str, tuple[str, str]]:
    """Return name -> version and digest; a wheel is told from a package by its slash."""
    packages = {p.name: (p.version, f"{p.architecture} {p.sha256}") for p in lock.packages}
    return packages | {f"python/{w.name}": (w.version, w.sha256) for w in lock.wheels}


def _settings(before: BuilderLock, now: BuilderLock) -> Iterator[str]:
    for name in ("suite", "architecture", "source_date_epoch", "definition_sha256"):
        one, two = str(getattr(before, name)), str(getattr(now, name))
        if one != two:
            yield f"{name} {_cut(one)} {_ARROW} {_cut(two)}"


def _environment_digests(side: Side) -> dict[str, EnvironmentDigest]:
    return {f.environment.builder: f.environment for f in side.fingerprints}


# --- artifacts ---------------------------------------------------------------------------------


def _artifacts(before: Side, now: Side) -> Iterator[str]:
    """Yield modes, then what is added and removed, then sizes, the largest step first."""
    both, gone, new = _matched(before, now)
    for one, two in both:
        if one.mode != two.mode:
            yield f"{_renamed(one, two)}: MODE {one.mode} {_ARROW} {two.mode}"
    yield from (f"{a.name}: added, {human_size(a.size)}, mode {a.mode}" for a in new)
    yield from (f"{a.name}: removed" for a in gone)
    changed = [pair for pair in both if pair[0].sha256 != pair[1].sha256]
    for one, two in sorted(changed, key=lambda pair: -abs(pair[1].size - pair[0].size)):
        yield f"{_renamed(one, two)}: {_step(one.size, two.size)}"


def _matched(
    before: Side, now: Side
) -> tuple[list[tuple[BuiltArtifact, BuiltArtifact]], list[BuiltArtifact], list[BuiltArtifact]]:
    """Return the artifacts on both sides, those only before, and those only now.

    One is the same under the same name, or under names that differ by the release's own
    version only.
    """
    old, new = _by_name(before), _by_name(now)
    both = [(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
    gone = _by_stem([a for name, a in old.items() if name not in new], before.version)
    come = _by_stem([a for name, a in new.items() if name not in old], now.version)
    both += [(gone[stem], come[stem]) for stem in sorted(gone.keys() & come.keys())]
    return (
        both,
        [gone[stem] for stem in sorted(gone.keys() - come.keys())],
        [come[stem] for stem in sorted(come.keys() - gone.keys())],
    )


def _by_name(side: Side) -> dict[str, BuiltArtifact]:
    return {a.name: a for fingerprint in side.fingerprints for a in fingerprint.artifacts}


def _by_stem(artifacts: Sequence[BuiltArtifact], version: str) -> dict[str, BuiltArtifact]:
    """Return artifacts by name without the version; no name holds the zero that marks it."""
    return {a.name.replace(version, "\0"): a for a in artifacts}


def _renamed(one: BuiltArtifact, two: BuiltArtifact) -> str:
    return two.name if one.name == two.name else f"{one.name} {_ARROW} {two.name}"


def _step(before: int, now: int) -> str:
    if before == now:
        return f"other bytes, the same size ({human_size(now)})"
    percent = f", {100 * (now - before) / before:+.1f} %" if before else ""
    return f"{human_size(before)} {_ARROW} {human_size(now)} ({signed_size(now - before)}{percent})"


def _total(side: Side) -> int:
    return sum(a.size for fingerprint in side.fingerprints for a in fingerprint.artifacts)


# --- people ------------------------------------------------------------------------------------


def _people(before: Side, now: Side) -> Iterator[str]:
    for old, new, did in (
        (before.builders, now.builders, "built"),
        (before.owners, now.owners, "signed the layout of"),
    ):
        yield from (
            f"{name} {did} {before.version}, not this one" for name in old if name not in new
        )
        yield from (
            f"{name} {did} this one, not {before.version}" for name in new if name not in old
        )


# --- words -------------------------------------------------------------------------------------


def human_size(size_bytes: int) -> str:
    """Return a size in the unit people read."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if abs(size) < 1024:  # noqa: PLR2004 - the binary step
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004


def signed_size(size_bytes: int) -> str:
    """Return how much larger (or smaller) something became: ``+38 KiB``."""
    return f"{'-' if size_bytes < 0 else '+'}{human_size(abs(size_bytes))}"


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number in {0, 1} else 's'}"


def _short(digest: str) -> str:
    return f"{digest[:_DIGEST_SHOWN]}…"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SUBJECT else f"{text[: MAX_SUBJECT - 1]}…"
