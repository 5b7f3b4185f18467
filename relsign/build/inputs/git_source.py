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
from pathlib import Path
from subprocess import CompletedProcess

from relsign.build.inputs.upstream import UpstreamSigned, verify_upstream
from relsign.build.store import Store
from relsign.errors import HostError, VerificationError
from relsign.formats.recipe import Git, TagSignature
from relsign.system.fetch import network_environment, redacted
from relsign.system.files import write_whole
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
