"""The container engine: find it, talk to it, and turn its faults into HostError.

Docker's Engine API, which Podman's socket also speaks.  Only `DOCKER_HOST` and
the usual sockets decide which engine is used; the caller's docker configuration
adds nothing to a container (its proxy variables would, through other clients).

    with connect(os.environ) as engine:
        print(engine.describe())

Whoever can write to the engine's socket is root on its machine, so an engine is
trusted like the machine itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Self, TypeVar

import docker
import docker.errors
import docker.utils
import msgspec
import requests
import urllib3.exceptions

from relsign.errors import HostError, InputError
from relsign.formats.canonical import shorten

MIN_API = (1, 41)
"""Docker 20.10: the first that puts a container into a cgroup namespace of its own."""

CONNECT_SECONDS = 10
ANSWER_SECONDS = 300
"""How long one answer may take; unpacking a large image is the slowest."""

OTHER_ENGINE = "RELSIGN_OTHER_ENGINE"
AGAIN_HINT = "is it still running? `tools/engine status`; then run the same command again"
START_HINT = "start one with `tools/engine start`, or set DOCKER_HOST"

TLS_VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

Kind = Literal["docker", "podman"]

Body = BinaryIO | Iterable[bytes]

T = TypeVar("T")


class NotThereError(HostError):
    """The engine knows no such object; callers turn it into what that means."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs the containers; for people and provenance, never for identity."""

    url: str
    name: str
    version: str
    api: str
    kernel: str
    architecture: str


class _Component(msgspec.Struct):
    name: str = msgspec.field(name="Name", default="")


class _Version(msgspec.Struct, rename="pascal"):
    version: str = ""
    api_version: str = ""
    kernel_version: str = ""
    arch: str = ""
    components: tuple[_Component, ...] = ()


class Reply:
    """A streamed answer: read it like a file, then close it."""

    def __init__(self, response: requests.Response) -> None:
        """Wrap an answer whose body has not been read."""
        self._response = response

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end; raise HostError on a broken line."""
        with engine_faults():
            data: bytes = self._response.raw.read(None if size < 0 else size)
            return data

    def header(self, name: str) -> str:
        """Return a header of the answer, empty if it has none of that name."""
        return str(self._response.headers.get(name, ""))

    def close(self) -> None:
        """Give the connection up."""
        self._response.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()


class Engine:
    """A connection to a container engine; close it, or use it in a `with`."""

    def __init__(self, api: docker.APIClient, url: str, info: EngineInfo) -> None:
        """Wrap a client whose engine has answered with what it is."""
        self._api = api
        self._base = f"{api.base_url}/v{info.api}"
        self._info = info
        self.url = url
        self.kind: Kind = "podman" if info.name.lower().startswith("podman") else "docker"

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._api.close()

    def describe(self) -> EngineInfo:
        """Return the engine's name and version, as it said them when the connection was made."""
        return self._info

    def get(self, path: str, into: type[T], parameters: Mapping[str, str] | None = None) -> T:
        """Return the JSON at `path` as `into`; raise NotThereError or HostError."""
        with self.stream("GET", path, parameters=parameters) as reply:
            return _parse(reply.read(), into, path)

    def post(self, path: str, into: type[T], document: object) -> T:
        """Send a JSON `document` and return the JSON answer as `into`."""
        with self.stream("POST", path, document=document) as reply:
            return _parse(reply.read(), into, path)

    def tell(self, method: str, path: str, parameters: Mapping[str, str] | None = None) -> None:
        """Send a request whose answer says nothing."""
        with self.stream(method, path, parameters=parameters) as reply:
            reply.read()

    def stream(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        document: object = None,
        body: Body | None = None,
        answer_seconds: float | None = ANSWER_SECONDS,
    ) -> Reply:
        """Send a request and return its answer unread.

        `answer_seconds` bounds each wait for bytes, None waits for ever.  Raises
        NotThereError for 404, HostError for any other refusal.
        """
        # Without the second header an engine may compress the tar streams it sends.
        headers = {"Content-Type": "application/x-tar", "Accept-Encoding": "identity"}
        if body is None:
            del headers["Content-Type"]
        with engine_faults(self.url):
            _knock(self.url)
            response = self._api.request(
                method,
                f"{self._base}{path}",
                params=parameters,
                json=document,
                data=body,
                headers=headers,
                stream=True,
                timeout=(CONNECT_SECONDS, answer_seconds),
            )
            try:
                _refuse_failure(response, path)
            except BaseException:
                response.close()
                raise
        return Reply(response)


def connect(environment: Mapping[str, str]) -> Engine:
    """Return the engine that `DOCKER_HOST` names, else the first usual socket that answers.

    `environment` is normally `os.environ`; only DOCKER_HOST, DOCKER_TLS_VERIFY,
    DOCKER_CERT_PATH and XDG_RUNTIME_DIR are read.  Raises HostError when none
    answers or the one named is too old, InputError when its TLS keys are unusable.
    """
    tried = []
    for url in candidates(environment):
        try:
            return _open(url, environment)
        except _SilentError as error:
            tried.append(f"{url}: {error}")
    raise HostError(
        "no container engine answers", got="; ".join(tried) or "no socket", hint=START_HINT
    )


def other_engine(environment: Mapping[str, str], engine: Engine) -> Engine | None:
    """Return an engine of another kind than `engine`, None if this machine has none.

    RELSIGN_OTHER_ENGINE names it in `environment`; otherwise the usual sockets
    are tried.  The caller closes it.  Raises HostError if the one named does not
    answer or is too old, InputError if it is of the same kind or its TLS keys are unusable.
    """
    named = environment.get(OTHER_ENGINE, "")
    if named:
        other = connect({**environment, "DOCKER_HOST": named})
        if other.kind != engine.kind:
            return other
        other.close()
        raise InputError(
            "the other engine is of the same kind",
            where=OTHER_ENGINE,
            expected="docker" if engine.kind == "podman" else "podman",
            got=engine.kind,
            hint="`tools/engine start podman` starts one and prints its address",
        )
    for url in usual_sockets(environment):
        with contextlib.suppress(_SilentError, HostError):
            other = _open(url, environment)
            if other.kind != engine.kind:
                return other
            other.close()
    return None


def candidates(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the addresses to try, in order: the named one only, or every usual socket there is."""
    named = environment.get("DOCKER_HOST", "")
    return (named,) if named else usual_sockets(environment)


def usual_sockets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the addresses of the sockets that engines of this machine and user have, if any."""
    user = environment.get("XDG_RUNTIME_DIR", "")
    sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"]
    if user.startswith("/"):
        sockets += [f"{user}/docker.sock", f"{user}/podman/podman.sock"]
    return tuple(f"unix://{path}" for path in sockets if Path(path).is_socket())


class _SilentError(Exception):
    """Nothing usable answers at an address."""


def _open(url: str, environment: Mapping[str, str]) -> Engine:
    tls = {name: environment[name] for name in TLS_VARIABLES if name in environment}
    try:
        options = docker.utils.kwargs_from_env(environment={"DOCKER_HOST": url, **tls})
        # Naming a version keeps the client from asking for one before it can be closed.
        api = docker.APIClient(**options, version=".".join(map(str, MIN_API)))
    except docker.errors.TLSParameterError as error:
        raise InputError(
            "unusable TLS setting",
            where="DOCKER_CERT_PATH",
            expected="a folder with ca.pem, cert.pem and key.pem",
            hint="name that folder, or unset DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
        ) from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _SilentError(shorten(_innermost(error))) from error
    # The session would take proxies from the environment; an engine is never behind one.
    api.trust_env = False
    try:
        return Engine(api, url, _negotiate(api, url))
    except BaseException:
        api.close()
        raise


def _negotiate(api: docker.APIClient, url: str) -> EngineInfo:
    """Ask the engine what it is; raise _SilentError if what answers is none."""
    try:
        _knock(url)
        with api.get(f"{api.base_url}/version", timeout=CONNECT_SECONDS) as response:
            found = msgspec.json.decode(response.content, type=_Version)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _SilentError(shorten(_innermost(error))) from error
    except msgspec.DecodeError as error:
        raise _SilentError("not a container engine") from error
    version = found.api_version
    if not re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version):
        raise _SilentError("not a container engine")
    if tuple(map(int, version.split("."))) < MIN_API:
        raise HostError(
            "the container engine is too old",
            where=url,
            expected=f"API {'.'.join(map(str, MIN_API))} or later",
            got=version,
            hint="Docker 20.10 and Podman 4 are new enough",
        )
    name = found.components[0].name if found.components else "engine"
    return EngineInfo(url, name, found.version, version, found.kernel_version, found.arch)


def _knock(url: str) -> None:
    """Raise OSError if nothing listens at a unix socket.

    The client library never closes a socket it could not connect; asking first
    keeps it from making one.
    """
    kind, _, path = url.partition("://")
    if kind == "unix":
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(CONNECT_SECONDS)
            line.connect(path)


@contextlib.contextmanager
def engine_faults(where: str = "container engine") -> Iterator[None]:
    """Turn what the client libraries raise into HostError."""
    try:
        yield
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise HostError(
            "the container engine does not answer",
            where=where,
            got=shorten(_innermost(error)),
            hint=AGAIN_HINT,
        ) from error


def _refuse_failure(response: requests.Response, path: str) -> None:
    if response.status_code < requests.codes.bad_request:
        return
    try:
        words = msgspec.json.decode(response.content, type=dict[str, object]).get("message", "")
    except msgspec.DecodeError:
        words = response.text
    kind = NotThereError if response.status_code == requests.codes.not_found else HostError
    raise kind(
        "the container engine refused",
        where=path.partition("?")[0],
        got=f"{response.status_code} {shorten(str(words), 400)}",
        hint=hint_for(str(words)),
    )


def hint_for(words: str) -> str:
    """Return what to do about an engine's refusal, empty where its words say it all."""
    known = {
        "no space left": "the engine's disk is full: `docker system df` shows what fills it",
        "bind source path does not exist": "the engine must run on this machine and see its files",
        "CPUs are not available": "choose a CPU the machine has",
        "for cpuset cpus": "choose a CPU the machine has",
        "docker-init": "the engine needs an init program: apt-get install tini",
    }
    return next((hint for part, hint in known.items() if part.lower() in words.lower()), "")


def _parse(data: bytes, into: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(data, type=into)
    except msgspec.DecodeError as error:
        raise HostError(
            "the container engine answered something unexpected",
            where=path,
            got=shorten(str(error)),
        ) from error


def _innermost(error: BaseException) -> str:
    seen = error
    while (inner := seen.__cause__ or seen.__context__) is not None:
        seen = inner
    if isinstance(seen, OSError) and seen.errno:
        return os.strerror(seen.errno).lower()
    return str(seen)
