"""The whole of `relsign verify`: read what is asked about, decide, remember.

Two ways to say whom to trust.  A root file named by hand stands for itself: nothing is
kept and nothing is written.  Otherwise the trust store knows the project, and then it
is asked what was seen before and told what was seen now.  Which pin is meant is looked
up by the project a bundle names; that the name is true is the decision's to say.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from relsign.errors import HostError, InputError, NoRootError, NotEnoughError, VerificationError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, STATEMENT_FILE, Bundle, parse_bundle
from relsign.formats.canonical import Value
from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import MAX_FINGERPRINT_BYTES
from relsign.formats.memory import Seen
from relsign.formats.own_policy import OwnPolicy
from relsign.formats.provenance import PROVENANCE_ENDING
from relsign.formats.root import parse_root
from relsign.formats.statement import parse_statement
from relsign.system.files import host_error, read_bounded
from relsign.system.hashing import hash_files
from relsign.trust.outside import find_bundle, read_root
from relsign.trust.pins.own_policy import demands_for
from relsign.trust.pins.store import Kept, TrustStore
from relsign.trust.publication.listing import read_listing
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands, Level

MAX_REBUILT = 100
_ENDING = ".fingerprint.json"


class Request(Value, frozen=True):
    """What a person asks to be verified, and how."""

    files: tuple[Path, ...]
    """Files of one release, or one folder that has all of them."""
    store: TrustStore
    now: datetime
    """Aware UTC."""
    bundle: Path | None = None
    root: Path | None = None
    """A root file that stands for itself; None asks the store."""
    pin: str | None = None
    wanted: str | None = None
    level: Level | None = None
    """None is standard, or what the person's own policy asks for."""
    own_policy: OwnPolicy = msgspec.field(default_factory=OwnPolicy)
    rebuilt: Path | None = None
    """A folder with the fingerprints of an own rebuild."""
    thorough: bool = True
    """Whether to look at evidence that has no vote, for the notes on it."""


class Outcome(Value, frozen=True):
    """The decision, and what it was taken on."""

    decision: Decision
    demands: Demands
    root: bytes
    root_file: Path
    bundle: Path | None
    digests: dict[str, str]
    """Name -> SHA-256 of the files that were verified."""
    notes: tuple[str, ...]
    """A line for each thing the person should know of the store."""
    trouble: HostError | None = None
    """Why the store could not be told; the verdict stands all the same."""


def verify_request(request: Request) -> Outcome:
    """Take the trust decision on files on disk.

    Raises NoRootError where nobody is trusted for the project, InputError for options
    that contradict each other and files that are none; everything about the evidence
    itself becomes the verdict.
    """
    folder = request.files[0] if len(request.files) == 1 and request.files[0].is_dir() else None
    # A name that no file can have stands for all of a folder's.
    bundle = request.bundle or find_bundle(folder / "*" if folder else request.files[0])
    if folder is not None and bundle is None:
        raise InputError(
            "a folder without a bundle in it",
            where=os.fspath(folder),
            hint="name the release's file, or the folder that has PROJECT-VERSION.relsign in it",
        )
    read = None if bundle is None else _read_bundle(bundle, thorough=request.thorough)
    name = None if request.root else _pin_name(request, read)
    kept = None if name is None else request.store.recall(name)
    roots = (read_root(request.root),) if kept is None else kept.roots
    demands = _demands(request, _project_of(roots[-1]))
    digests = _hash_all(request.files) if folder is None else _hash_folder(folder, read)
    question = Question(
        root=roots[0],
        bundle=read,
        artifacts=digests,
        now=request.now,
        demands=demands,
        newer_roots=roots[1:],
        seen=None if kept is None else kept.seen,
        listing=None if name is None else read_listing(request.store.metadata_folder(name)),
        wanted=request.wanted,
        rebuilt=read_rebuilt(request.rebuilt),
    )
    decision = decide(question)
    trouble = None if name is None or kept is None else _told(request, name, kept, decision)
    notes = (kept.note,) if kept is not None and kept.note else ()
    place = _root_file(request, name, roots[-1])
    return Outcome(decision, demands, roots[-1], place, bundle, digests, notes, trouble)


def _read_bundle(path: Path, *, thorough: bool) -> Bundle | bytes:
    """Return a bundle, or the bytes of one that cannot be read: the decision says why not.

    What has no vote is left out where nobody asks for notes, and the bytes are not kept
    beside what was read: they may be 64 MiB.
    """
    data = read_bounded(path, MAX_BUNDLE_BYTES)
    try:
        return parse_bundle(data, leave_out=None if thorough else PROVENANCE_ENDING)
    except InputError:
        return data


def _pin_name(request: Request, bundle: Bundle | bytes | None) -> str:
    """Return the name of the pin that is meant."""
    if request.pin is not None:
        return request.pin
    if bundle is None:
        raise NotEnoughError(
            "no bundle was found beside the file",
            where=os.fspath(request.files[0]),
            hint="download PROJECT-VERSION.relsign beside it, or name it with --bundle",
        )
    try:
        project = (bundle if isinstance(bundle, Bundle) else parse_bundle(bundle)).project
    except InputError as error:
        raise VerificationError(
            f"the bundle cannot be read: {error.what}",
            where=error.where,
            expected=error.expected,
            got=error.got,
            hint="download it again",
        ) from error
    names = request.store.find(project)
    if not names:
        raise NoRootError(
            f"no trust root is pinned for {project}",
            hint="pin the project's root with `relsign trust add`, comparing its 12 words",
        )
    _refuse_other_names(request, project)
    if len(names) > 1:
        raise InputError(
            f"several roots are pinned for {project}",
            got=", ".join(names),
            hint="name one with --pin",
        )
    return names[0]


def _root_file(request: Request, name: str | None, root: bytes) -> Path:
    """Return where the root that was asked by lies, for who wants to look by hand."""
    if request.root is not None or name is None:
        return request.root or Path()
    return request.store.root_file(name, parse_root(root).signed.version)


def _refuse_other_names(request: Request, project: str) -> None:
    """Ask for --pin where a file is called like another project that is pinned.

    Each project whose root a person pinned may publish files of any name; what is called
    like one of the others must not be taken for it.
    """
    for path in (*request.files, *((request.bundle,) if request.bundle else ())):
        for name in request.store.names():
            if (
                name != project
                and path.name.startswith(f"{name}-")
                and not (path.name.startswith(f"{project}-"))
            ):
                raise InputError(
                    f"is called like a file of {name}, and its evidence is of {project}",
                    where=os.fspath(path),
                    hint=f"say whose file it is: --pin {name}, or --pin {project}",
                )


def _demands(request: Request, project: str) -> Demands:
    own = demands_for(request.own_policy, project)
    if request.level is None:
        return own
    if request.level < Level.STANDARD and request.own_policy != OwnPolicy():
        raise InputError(
            "your own policy asks for more than level basic",
            where="--level",
            hint="leave --level away, or name another policy with --policy",
        )
    if request.level < Level.STANDARD:
        return Demands(level=request.level)
    return own.stricter(Demands(level=request.level))


def _hash_folder(folder: Path, bundle: Bundle | bytes | None) -> dict[str, str]:
    """Return the digests of all files that a release has, as they lie in a folder.

    Raises NotEnoughError where one is missing; without a statement to name them there
    are none, and the decision says so.
    """
    if not isinstance(bundle, Bundle):
        return {}
    try:
        envelope = parse_envelope(bundle.files.get(STATEMENT_FILE, b""), STATEMENT_FILE)
        names = parse_statement(envelope.payload, STATEMENT_FILE).digests()
    except InputError:
        return {}
    if folder.name in names:
        raise InputError(
            "is a folder, and the release has a file of that name", where=os.fspath(folder)
        )
    # Fifty thousand names: joined as text, they take a fraction of a Path's time.
    base = os.fspath(folder)
    hashed = zip(names, hash_files([f"{base}/{name}" for name in names]), strict=True)
    return {name: file.sha256 for name, file in hashed}


def _project_of(root: bytes) -> str:
    """Return whose root it is; nobody's if it is malformed, which the decision will say."""
    try:
        return parse_root(root).signed.project
    except InputError:
        return ""


def _hash_all(files: tuple[Path, ...]) -> dict[str, str]:
    names: set[str] = set()
    for path in files:
        if path.name in names:
            raise InputError("two files of the same name", where=os.fspath(path))
        names.add(path.name)
    hashed = zip(files, hash_files(files), strict=True)
    return {path.name: file.sha256 for path, file in hashed}


def read_rebuilt(folder: Path | None) -> dict[str, bytes]:
    """Return target -> fingerprint of an own rebuild; raise InputError if it holds none."""
    if folder is None:
        return {}
    try:
        names = sorted(e.name for e in os.scandir(folder) if e.name.endswith(_ENDING))
    except OSError as error:
        raise host_error(error, folder) from error
    if not names or len(names) > MAX_REBUILT:
        raise InputError(
            "not the folder of a build",
            where=os.fspath(folder),
            expected=f"1 to {MAX_REBUILT} files *{_ENDING}",
            got=str(len(names)),
            hint="name the folder that `relsign build` printed",
        )
    return {
        name.removesuffix(_ENDING): read_bounded(folder / name, MAX_FINGERPRINT_BYTES)
        for name in names
    }


def _told(request: Request, name: str, kept: Kept, decision: Decision) -> HostError | None:
    """Tell the store what was seen; return why it cannot be told."""
    try:
        _remember(request, name, kept, decision)
    except HostError as error:
        return error
    return None


def _version_of(root: bytes) -> int:
    """Return a root's version, 0 where it is malformed: the decision has said so."""
    try:
        return parse_root(root).signed.version
    except InputError:
        return 0


def _remember(request: Request, name: str, kept: Kept, decision: Decision) -> None:
    """Keep what holds whatever the verdict (newer roots), and what was verified."""
    newest = parse_root(kept.roots[-1]).signed.version
    if decision.root is not None and decision.evidence is not None:
        for data in decision.evidence.roots:
            if newest < _version_of(data) <= decision.root.root.version:
                request.store.accept_root(name, data)
    if decision.release is not None:
        predicate = decision.release.evidence.statement.predicate
        entry = Seen(
            sequence=predicate.sequence,
            version=predicate.version,
            statement_sha256=decision.release.evidence.statement_digest,
            seen_at=request.now,
        )
        request.store.remember(name, entry, known=kept.seen)
