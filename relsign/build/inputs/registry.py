"""An image registry: manifests and blobs by digest (OCI distribution specification 1.0).

Where it is is this machine's business: ``--registry``, or RELSIGN_REGISTRY.  It is not
trusted: whatever it serves is asked for by digest and compared.  Where it wants a token,
as public ones do, it gets the one it hands to everybody; user and password may stand in
the address, and go to that host only.

Docker and containerd send them to the token server too, whichever host the registry names.
Nothing vouches for that name, so we do not: a registry that hands out tokens to people it
knows only is read through a mirror, or one of your own that the image was copied into.

    registry = Registry(registry_address(None))
    data = registry.manifest("library/debian", digest)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec
import urllib3

from relsign.build.inputs.asking import GONE, is_served
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.canonical import decode_json, shorten
from relsign.formats.names import Digest
from relsign.system.fetch import (
    FetchLimits,
    Progress,
    ServerRefusedError,
    Sink,
    download_bytes,
    network_error,
    open_response,
    parse_http_url,
    read_body,
    redacted,
)

VARIABLE = "RELSIGN_REGISTRY"
MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
MAX_MANIFEST_BYTES = 4 << 20
SLOWEST = 1 << 10
"""Bytes per second: a registry that drips holds nobody for ever."""
MAX_TOKEN_BYTES = 64 << 10
UNAUTHORISED = 401
ANSWERS = frozenset({200, UNAUTHORISED})
REFUSED = frozenset({UNAUTHORISED, 403, 404})
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_PARAMETER = re.compile(r'([a-z]+)="([^"]{0,1000})"')


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


def registry_address(given: str | None) -> str:
    """Return the registry's address, as given or from RELSIGN_REGISTRY, ending in one ``/``.

    Raises InputError if none is named or it is no http or https address.
    """
    address = given or os.environ.get(VARIABLE, "")
    if not address:
        raise InputError(
            "no image registry is known",
            hint=f"name one with --registry https://HOST, or set {VARIABLE}",
        )
    parse_http_url(address)
    return address.rstrip("/") + "/"


@dataclass(slots=True)
class Registry:
    """One registry; remembers the token of each repository it asked for."""

    address: str
    _tokens: dict[str, str] = field(default_factory=dict)

    def manifest(self, repository: str, digest: Digest) -> bytes:
        """Return a manifest or index, its digest compared; at most 4 MiB."""
        limits = FetchLimits(max_bytes=MAX_MANIFEST_BYTES, slowest=SLOWEST)
        path = f"{repository}/manifests/sha256:{digest}"
        data = b"".join(self._body(repository, path, limits, ", ".join(MANIFEST_TYPES)))
        if sha256_hex(data) != digest:
            raise VerificationError(
                "the registry serves another manifest",
                where=redacted(self.url(path)),
                expected=digest,
                got=sha256_hex(data),
                hint="do not use this registry; tell whoever runs it",
            )
        return data

    def blob(
        self, repository: str, digest: Digest, sink: Sink, size: int, progress: Progress
    ) -> None:
        """Write a blob of at most `size` bytes into `sink`, which compares the digest."""
        path = f"{repository}/blobs/sha256:{digest}"
        done = 0
        for chunk in self._body(repository, path, FetchLimits(max_bytes=size, slowest=SLOWEST)):
            sink.write(chunk)
            done += len(chunk)
            progress(done, size)

    def has_blob(self, repository: str, digest: Digest, size: int) -> bool:
        """Say whether the registry has a blob of that digest and size; it is not fetched.

        Raises HostError where it gives no answer.
        """
        url = self.url(f"{repository}/blobs/sha256:{digest}")
        try:
            return self._is_served(repository, url, size)
        except ServerRefusedError as error:
            if error.status != UNAUTHORISED:
                raise
        # Asking in earnest gets us the token; the body is not read.
        try:
            self._open(repository, url, "*/*", FetchLimits()).close()
        except ServerRefusedError as error:
            if error.status in GONE:
                return False
            raise
        except urllib3.exceptions.HTTPError as error:
            raise network_error(error, redacted(url)) from error
        return self._is_served(repository, url, size)

    def url(self, path: str) -> str:
        """Return the address of a path below the protocol's own."""
        return f"{self.address}v2/{path}"

    def _is_served(self, repository: str, url: str, size: int) -> bool:
        address, headers = self._authorised(repository, url)
        return is_served(address, size, headers)

    def _authorised(self, repository: str, url: str) -> tuple[str, dict[str, str]]:
        """Return address and headers to ask with: the token, if there is one, and no password.

        With both, a request would have two headers of one name.
        """
        token = self._tokens.get(repository)
        if not token:
            return url, {}
        return parse_http_url(url)._replace(auth=None).url, {"Authorization": f"Bearer {token}"}

    def _body(
        self, repository: str, path: str, limits: FetchLimits, accept: str = "*/*"
    ) -> Iterator[bytes]:
        """Yield what the registry sends, bounded; raise HostError naming the address."""
        url = self.url(path)
        try:
            response = self._open(repository, url, accept, limits)
            try:
                yield from read_body(response, limits, redacted(url))
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise network_error(error, redacted(url)) from error

    def _open(
        self, repository: str, url: str, accept: str, limits: FetchLimits
    ) -> urllib3.BaseHTTPResponse:
        """Send the request; once more with a token where the registry wants one."""
        address, headers = self._authorised(repository, url)
        response = open_response(address, limits, {"Accept": accept, **headers}, ANSWERS)
        if response.status != UNAUTHORISED:
            return response
        challenge = response.headers.get("WWW-Authenticate", "")
        response.close()
        try:
            self._tokens[repository] = self._ask_token(repository, challenge, url)
            address, headers = self._authorised(repository, url)
            return open_response(address, limits, {"Accept": accept, **headers})
        except ServerRefusedError as error:
            if error.status in REFUSED:
                error.hint = (
                    "it has no such image, or only for people it knows: copy the image into a "
                    f"registry that asks for no token, and name that in {VARIABLE}"
                )
            raise

    def _ask_token(self, repository: str, challenge: str, url: str) -> str:
        """Return the token everybody gets (distribution's token authentication, "Bearer")."""
        kind, _, rest = challenge.partition(" ")
        stated = dict(_PARAMETER.findall(rest))
        realm = stated.get("realm", "")
        # A registry behind TLS must not send us in the clear; any other page may be asked.
        secure = realm.startswith("https://") or not url.startswith("https:")
        if kind.lower() != "bearer" or not realm or not secure:
            raise HostError(
                "the registry wants credentials",
                where=redacted(url),
                got=shorten(challenge),
                hint=f"put them into the address: {VARIABLE}=https://USER:PASSWORD@HOST",
            )
        query = {"scope": f"repository:{repository}:pull"}
        if "service" in stated:
            query["service"] = stated["service"]
        limits = FetchLimits(max_bytes=MAX_TOKEN_BYTES, slowest=SLOWEST)
        # A server of the registry's choice: it learns what we ask for, and no user or password.
        answer = download_bytes(f"{realm}?{urlencode(query)}", limits)
        try:
            found = decode_json(answer, _Token, redacted(realm), max_bytes=MAX_TOKEN_BYTES)
        except InputError as error:
            raise _no_token(realm) from error
        token = found.token or found.access_token
        if not _TOKEN.fullmatch(token):
            raise _no_token(realm)
        return token


def _no_token(realm: str) -> HostError:
    return HostError(
        "the registry gives no token",
        where=redacted(realm),
        hint="check that no proxy or login page answers in its place, or name another registry "
        "that has the image",
    )
