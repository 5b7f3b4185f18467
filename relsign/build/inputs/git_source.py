"""A git commit as a tar: fetched into a throw-away repository, never checked out.

Git runs without anybody's configuration, hooks, submodules, filters or prompts, and
only with the protocols named here.  A commit id is a SHA-1 that the recipe's SHA-256
of the tar backs up; a tag may move, so it is never what is fetched, only evidence:
where the recipe names a signed one, it must carry that name, point at this commit,
and be signed by the key named.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from relsign.build.inputs.upstream import UpstreamSigned, verify_upstream
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest
from relsign.formats.recipe import Git, TagSignature
from relsign.system.fetch import network_environment, redacted
from relsign.system.files import hash_file, write_whole
from relsign.system.process import require_program, run_program

PROTOCOLS = "https:http:ssh:git:file"
GIT_SECONDS = 3600
MAX_PACK_BYTES = 8 << 30
SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.attributesFile": "/dev/null",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "protocol.version": "2",
    "tar.umask": "0022",
    "transfer.credentialsInUrl": "allow",
}
_PUBLIC_URL = re.compile(r"(?:(?:https|git)://|ssh://(?:[\w.-]+@)?)[\w.-]+(?::\d+)?/[\x21-\x7e]+")
"""An address that another machine may reach, and that holds no password."""
_SHORT_URL = re.compile(r"([\w.-]+@[\w.-]+):([\x21-\x7e]+)")
_BEGIN_SIGNATURE = re.compile(rb"^-----BEGIN PGP SIGNATURE-----$", re.MULTILINE)


def fetch_commit(
    source: Git, store: Store, certificate: bytes, where: str
) -> UpstreamSigned | None:
    """Store ``git archive --format=tar COMMIT``, and return who signed the recipe's tag.

    `certificate` is read only where the recipe names a tag.  Raises HostError if the
    commit cannot be fetched, VerificationError for another digest or a wrong tag.
    """
    if source.tag is None and store.has(source.sha256):
        return None
    with tempfile.TemporaryDirectory(prefix="relsign-") as name:
        repository = Path(name, "repository")
        _git(repository, "init", "--quiet", "--bare", "--", os.fspath(repository))
        _fetch(repository, source, where)
        tar = Path(name, "commit.tar")
        _git(repository, "archive", "--format=tar", f"--output={tar}", source.commit)
        store.add_file(tar, source.sha256, where=f"{where}.sha256")
        if source.tag is None:
            return None
        return _verify_tag(repository, source.tag, source.commit, certificate, f"{where}.tag")


@dataclass(frozen=True, slots=True)
class NamedCommit:
    """What a recipe says of a commit: where it is, its id, its tar's digest, and when it was made.

    `epoch` is the committer's time in seconds since 1970.
    """

    url: str
    commit: str
    sha256: Digest
    epoch: int


def name_commit(checkout: Path, name: str) -> NamedCommit:
    """Return the commit that `name` (a tag, a branch, HEAD) means in a person's own checkout.

    Its address is that of the remote ``origin``, without it the checkout's own.  Raises
    InputError for no checkout and for what is no commit in it, HostError if git fails.
    """
    folder = checkout.absolute()
    own = folder / ".git" if os.path.lexists(folder / ".git") else folder
    found = _try(own, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise InputError(
            "no such commit in this checkout",
            where=os.fspath(folder),
            expected="a tag, a branch or a commit",
            got=shorten(name),
            hint="`git log --oneline` there lists commits; is it a checkout, and yours?",
        )
    commit = found.stdout.decode("ascii").strip()
    with tempfile.TemporaryDirectory(prefix="relsign-") as temporary:
        # As whoever builds gets it: attributes and settings of this checkout have no say.
        repository = Path(temporary, "repository")
        _git(repository, "init", "--quiet", "--bare", "--", os.fspath(repository))
        plain = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1")
        _git(repository, *plain, "--", os.fspath(folder), commit)
        tar = Path(temporary, "commit.tar")
        _git(repository, "archive", "--format=tar", f"--output={tar}", commit)
        made = _try(repository, "log", "-1", "--format=%ct", commit)
        if made.returncode:
            raise _failed(made, "git log")
        origin = _try(own, "config", "--get", "remote.origin.url").stdout
        digest = hash_file(tar).sha256
    url = _address(origin.decode("utf-8", "replace").strip()) or folder.as_uri()
    return NamedCommit(url, commit, digest, int(made.stdout))


def _address(origin: str) -> str:
    """Return an address for a recipe, empty where this one is of no use to others."""
    if short := _SHORT_URL.fullmatch(origin):
        return f"ssh://{short[1]}/{short[2].lstrip('/')}"
    return origin if _PUBLIC_URL.fullmatch(origin) else ""


def _fetch(repository: Path, source: Git, where: str) -> None:
    """Ask for the commit alone; where a server refuses that, for all branches and tags."""
    plain = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head")
    tags = [f"+refs/tags/{source.tag.tag}:refs/tags/{source.tag.tag}"] if source.tag else []
    few = _try(repository, *plain, "--depth=1", "--", source.url, source.commit, *tags)
    if few.returncode:
        every = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        result = _try(repository, *plain, "--", source.url, *every)
        if result.returncode:
            raise _failed(result, f"{where}.url: {redacted(source.url)}")
    kind = _try(repository, "cat-file", "-t", source.commit)
    if kind.stdout.strip() != b"commit":
        raise HostError(
            "the repository has no such commit", where=f"{where}.commit", got=source.commit
        )


def _verify_tag(
    repository: Path, tag: TagSignature, commit: str, certificate: bytes, where: str
) -> UpstreamSigned:
    # `cat-file tag` refuses a lightweight tag, which is only another name of a commit.
    found = _try(repository, "cat-file", "tag", f"refs/tags/{tag.tag}")
    begin = _BEGIN_SIGNATURE.search(found.stdout)
    if found.returncode or begin is None:
        raise VerificationError("tag is missing or not signed", where=where, got=tag.tag)
    payload, signature = found.stdout[: begin.start()], found.stdout[begin.start() :]
    _check_tag_header(payload, tag, commit, where)
    write_whole(repository / "relsign-tag", payload)
    write_whole(repository / "relsign-tag.asc", signature)
    return verify_upstream(
        repository / "relsign-tag",
        repository / "relsign-tag.asc",
        certificate,
        tag.fingerprint,
        where,
    )


def _check_tag_header(payload: bytes, tag: TagSignature, commit: str, where: str) -> None:
    """Compare the signed header with the recipe: a tag can be re-hung under another name."""
    expected = [f"object {commit}", "type commit", f"tag {tag.tag}"]
    header = payload.decode("utf-8", "replace").splitlines()[:3]
    if header != expected:
        raise VerificationError(
            "tag is not of this commit",
            where=where,
            expected="; ".join(expected),
            got=ascii("; ".join(header))[1:201],
        )


def _git(repository: Path, *words: str) -> None:
    result = _try(repository, *words)
    if result.returncode:
        raise _failed(result, f"git {words[0]}")


def _try(repository: Path, *words: str) -> CompletedProcess[bytes]:
    settings = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
    limit = [require_program("prlimit", "util-linux"), f"--fsize={MAX_PACK_BYTES}", "--"]
    command: Sequence[str] = [
        *limit,
        *(require_program("git", "git"), f"--git-dir={repository}", *settings),
        *words,
    ]
    return run_program(command, environment=_environment(), timeout_seconds=GIT_SECONDS)


def _environment() -> dict[str, str]:
    network = network_environment()
    environment = {
        **network,
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_ASKPASS": "/bin/false",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_TERMINAL_PROMPT": "0",
    }
    if "SSL_CERT_FILE" in network:
        environment["GIT_SSL_CAINFO"] = network["SSL_CERT_FILE"]
    if "SSH_AUTH_SOCK" in os.environ:
        environment["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]
    return environment


def _failed(result: CompletedProcess[bytes], where: str) -> HostError:
    words = " ".join(result.stderr.decode("utf-8", "replace").split())
    return HostError("git failed", where=where, got=ascii(words)[1:301])
