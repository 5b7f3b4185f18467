"""What signers wait for: a release of ten thousand artifacts, and OpenPGP signatures in bulk."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from measure import show

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))  # the tests' helpers make the project that is signed

from relsign.build.profile import load_profile  # noqa: E402
from relsign.crypto.openpgp import (  # noqa: E402
    parse_certificate,
    split_signatures,
    verify_detached,
)
from relsign.formats.fingerprint import BuiltArtifact, Fingerprint, ProfileDigest  # noqa: E402
from relsign.formats.names import Digest  # noqa: E402
from relsign.sign.evidence.links import BuildTimes, sign_evidence  # noqa: E402
from relsign.sign.keys.keystore import KeyStore  # noqa: E402
from relsign.sign.release import party_named, prepare_request, sign_release  # noqa: E402
from relsign.sign.rules.root import current_root  # noqa: E402
from relsign.system.clock import now_utc  # noqa: E402
from relsign.system.files import make_folder, write_whole  # noqa: E402
from tests.crypto.openpgp_maker import CREATED, DAY, detached, ed25519, simple  # noqa: E402
from tests.projects import PASSPHRASE, Project, make_keys, make_project  # noqa: E402
from tests.verify.releases import RECIPE, make_fingerprint  # noqa: E402

ARTIFACTS = 10_000
SIGNATURES = 3000
SAMPLE = 100
ROUNDS = 3
DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)


def measure(scratch: Path) -> None:
    """Print the rows of this subject."""
    _bulk(scratch / "gpg")
    keys = make_keys(scratch / "keys")
    for words, size in (("16 KiB", 16 << 10), ("256 KiB", 256 << 10)):
        # The commands that make the project talk to people; the table is for them here.
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            project = _project(scratch / f"project-{size}", keys, size)
        _sign(project, f"relsign sign, {ARTIFACTS} x {words} / hashing them by hashlib, time")
        shutil.rmtree(project.folder.parent)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# --- a large release ---------------------------------------------------------------------------


def _sign(project: Project, name: str) -> None:
    """Compare deriving, checking and signing with a plain loop over the same files.

    The passphrase is left out: it takes as long as it is meant to, whatever is signed.
    Each round works on a process's first sight of the recipe, as a command does.
    """
    signer = KeyStore(project.keys).open("sam", PASSPHRASE)
    folder = project.release.build_of("builder-a") / "artifacts"

    def sign() -> None:
        now, profile = now_utc(), load_profile()
        root = current_root(project.workspace, now)
        digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
        request = prepare_request(project.workspace, root, None, digest, now)
        party = party_named(root, "sam", "signer")
        sign_release(project.release, request, root.having("signer"), party, signer.sign)

    def hash_all() -> None:
        for each in folder.iterdir():
            hashlib.sha256(each.read_bytes()).hexdigest()

    hash_all()
    rounds = [(_forked(sign), _forked(hash_all)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(mine / other for mine, other in rounds)
    show(name, (f"{ours * 1000:.0f} ms", f"{theirs * 1000:.0f} ms"), ratio, 1.2)


def _forked(work: Callable[[], object]) -> float:
    """Return the seconds of `work` in a process of its own, which remembers nothing."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.write(writing, repr(_seconds(work)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        said = stream.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the release could not be signed")
    return float(said)


def _project(folder: Path, keys: Path, size: int) -> Project:
    """Make a project whose builders agree and whose owners signed the layout."""
    project = make_project(folder / "project", keys, folder / "site")
    names = [f"demo-{number:06}.bin" for number in range(ARTIFACTS)]
    head = RECIPE.partition("[[target.artifact]]")[0]
    entries = "".join(f'[[target.artifact]]\npath = "{name}"\n' for name in names)
    write_whole(project.workspace.recipe_file, (head + entries).encode())
    project.compile()
    place = project.release.build_of("builder-a") / "artifacts"
    make_folder(place)
    body, made = os.urandom(size - 8), []
    for number, name in enumerate(names):
        data = number.to_bytes(8) + body
        (place / name).write_bytes(data)
        digest = Digest(hashlib.sha256(data).hexdigest())
        made.append(BuiltArtifact(name=name, sha256=digest, size=size, mode="0644"))
    fingerprint = msgspec.structs.replace(
        make_fingerprint(b"", **project.inputs()), artifacts=tuple(made)
    )
    for builder in ("builder-a", "builder-b"):
        _report(project, builder, fingerprint)
    for owner in ("olga", "oona"):
        if project.run_signing("policy", "sign", "--as", owner):
            raise SystemExit("the layout could not be signed")
    return project


def _report(project: Project, builder: str, fingerprint: Fingerprint) -> None:
    folder = project.release.build_of(builder)
    make_folder(folder)
    write_whole(folder / fingerprint.file, fingerprint.to_bytes())
    root = current_root(project.workspace, now_utc())
    party = party_named(root, builder, "builder")
    signer = KeyStore(project.keys).open(builder, PASSPHRASE)
    times = {"linux": BuildTimes(DAY_ONE, DAY_ONE)}
    for name, data in sign_evidence((fingerprint,), times, party, signer.sign).items():
        write_whole(folder / name, data)


# --- signatures in bulk ------------------------------------------------------------------------


def _bulk(folder: Path) -> None:
    """Compare our parser with one gpg process for each signature, of which a sample is run."""
    home = folder / "home"
    home.mkdir(parents=True, mode=0o700)
    key = ed25519(1)
    (folder / "key.gpg").write_bytes(simple(key))
    gpg = ["gpg", "--homedir", str(home), "--no-autostart", "--batch", "--quiet"]
    subprocess.run([*gpg, "--import", folder / "key.gpg"], check=True, capture_output=True)
    manifests = [b"%064x  demo-%06d.tar.xz\n" % (n, n) for n in range(SIGNATURES)]
    pairs = [(manifest, detached(key, manifest)) for manifest in manifests]
    for number, (manifest, signature) in enumerate(pairs[:SAMPLE]):
        (folder / f"{number}").write_bytes(manifest)
        (folder / f"{number}.sig").write_bytes(signature)
    at = datetime.fromtimestamp(CREATED + 20 * DAY, UTC)

    def ours() -> None:
        certificate = parse_certificate(simple(key), "key")
        for manifest, signature in pairs:
            (packet,) = split_signatures(signature, "signature")
            verify_detached(certificate, packet, manifest, at)

    def theirs() -> None:
        for number in range(SAMPLE):
            subprocess.run(
                [*gpg, "--status-fd=1", "--verify", f"{number}.sig", str(number)],
                cwd=folder, check=True, capture_output=True,
            )  # fmt: skip

    rounds = [(_seconds(ours), _seconds(theirs) * SIGNATURES / SAMPLE) for _ in range(ROUNDS)]
    mine, other = (statistics.median(side) for side in zip(*rounds, strict=True))
    name = f"{SIGNATURES} OpenPGP signatures / gpg each ({SAMPLE} run, scaled)"
    show(name, (f"{mine * 1000:.0f} ms", f"{other:.1f} s"), mine / other, 0.5)
