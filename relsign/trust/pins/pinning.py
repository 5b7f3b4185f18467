"""Pinning a root: get it, check it, compare its words, and see what is pinned already.

Nothing the network says is believed: the root comes from anywhere, and it is the
twelve words or the digest, which the person has from elsewhere, that decide.

    offer = read_offer("https://example.org/releases/gzip/", now)
    compare(offer, words="palace gossip ...", digest=None)
    store.create(offer.project, offer.trusted, offer.url, now)
"""

from __future__ import annotations

import hmac
import io
import os
import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from relsign.crypto.words import digest_words, parse_words
from relsign.errors import (
    HostError,
    InputError,
    NotEnoughError,
    RelsignError,
    VerificationError,
)
from relsign.formats.canonical import decode_value
from relsign.formats.pin import Pin, Url
from relsign.formats.root import MAX_ROOT_BYTES
from relsign.system.fetch import FetchLimits, download, redacted
from relsign.system.files import read_bounded
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import TrustedRoot, extend_root, open_root, verify_root, walk_roots

_OTHER_CHANNEL = "do not pin it: ask the project over another channel which root is theirs"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOOK_ALIKE = str.maketrans("01i_.", "oll--")


@dataclass(frozen=True, slots=True)
class Offer:
    """A root that holds by itself, and whose words nobody has compared yet."""

    trusted: TrustedRoot
    url: str | None
    """The publication's project folder, if it came from one."""

    @property
    def project(self) -> str:
        """The project it speaks for."""
        return self.trusted.root.project

    @property
    def words(self) -> str:
        """The twelve words people compare."""
        return digest_words(self.trusted.digest)


class Standing(Enum):
    """How an offered root stands to what is pinned under the name."""

    NEW = "nothing is pinned"
    LOST = "the pin is lost or damaged"
    SAME = "pinned, or accepted since"
    GONE = "the pinned one, whose file is gone"
    FOLLOWS = "the next version of the pinned one"


def read_offer(source: str, now: datetime) -> Offer:
    """Return the root in a file, or of a project's folder; both may be on the web.

    Raises InputError for a source that cannot be one, HostError if the network fails,
    and what `verify_root` raises at `now` (aware UTC).
    """
    if source.lower().startswith(("http://", "https://")):
        address, folder = root_address(source)
        return Offer(verify_root(_fetched(address), now), folder)
    if not source:
        raise InputError("no file and no address is named", hint="relsign trust add FILE|DIR|URL")
    path = Path(source)
    if path.is_dir():
        path /= "root.json"
    try:
        data = read_bounded(path, MAX_ROOT_BYTES)
    except NotEnoughError as error:
        raise InputError(
            "no such file",
            where=os.fspath(path),
            hint="name a root.json, the folder that holds it, or the URL of either",
        ) from error
    return Offer(verify_root(data, now), None)


def root_address(url: str) -> tuple[str, str]:
    """Return where root.json is, and the project's folder around it; raise InputError.

    A URL whose last part ends in ``.json`` is a root's own; any other is a folder's.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError("not a URL", got=redacted(url)) from error
    if "@" in parts.netloc:
        raise InputError(
            "a URL with a user name or password",
            where=redacted(url),
            hint="download root.json yourself, and pin the file",
        )
    before, _, last = parts.path.rpartition("/")
    if last.endswith(".json"):
        address = urlunsplit(parts._replace(fragment=""))
    else:
        before = parts.path.rstrip("/")
        address = urlunsplit((parts.scheme, parts.netloc, f"{before}/root.json", parts.query, ""))
    folder = urlunsplit((parts.scheme, parts.netloc, f"{before}/", "", ""))
    return decode_value(address, Url, "URL"), decode_value(folder, Url, "URL")


def compare(offer: Offer, words: str | None, digest: str | None) -> bool:
    """Compare a root with the words or digest a person has of it; say if any were given.

    `digest` is 64 hexadecimal digits.  Raises InputError for what is no digest or no
    twelve words at all, VerificationError unless what is given is of this root.
    """
    if words is not None:
        _compare_words(offer, words)
    if digest is not None:
        _compare_digest(offer, digest.strip().lower())
    return words is not None or digest is not None


def _compare_digest(offer: Offer, given: str) -> None:
    if not _DIGEST.fullmatch(given):
        raise InputError(
            "not a digest",
            where="--digest",
            expected="64 hexadecimal digits",
            got=ascii(given[:64])[1:-1],
            hint="copy all of it; `relsign root words` prints it on the project's side",
        )
    if not hmac.compare_digest(given.encode(), offer.trusted.digest.encode()):
        raise VerificationError(
            "not the digest of this root",
            where="--digest",
            expected=given,
            got=offer.trusted.digest,
            hint=_OTHER_CHANNEL,
        )


def _compare_words(offer: Offer, words: str) -> None:
    try:
        given = parse_words(words)
    except InputError as error:
        # A count or a word that cannot be is told with what was got.  Twelve words of the
        # list that do not fit together are another root's as far as anybody can say.
        kind = InputError if error.got else VerificationError
        raise kind(
            f"not the words of any root: {error.what}",
            where="--words",
            expected=error.expected,
            got=error.got,
            hint=error.hint or "look for the word that was heard or typed wrongly",
        ) from error
    if not hmac.compare_digest(given, offer.trusted.digest[: len(given)]):
        raise VerificationError(
            "not the words of this root",
            where="--words",
            expected=digest_words(given + "0" * len(given)),
            got=offer.words,
            hint=_OTHER_CHANNEL,
        )


def standing_of(store: TrustStore, name: str, offer: Offer) -> Standing:
    """Return how an offered root stands to what is pinned under `name`.

    Raises VerificationError for a root that is neither the pinned one nor follows from
    it, InputError for one that is too new to follow directly.
    """
    if not store.has_folder(name):
        return Standing.NEW
    try:
        pin = store.find_pin(name)
    except InputError:
        pin = None
    if pin is None:
        return Standing.LOST
    if offer.trusted.digest == pin.root_sha256 and not store.holds_pinned_root(name):
        return Standing.GONE
    roots = store.standing_roots(name)
    opened = [open_root(data).digest for data in roots]
    if offer.trusted.digest in opened:
        return Standing.SAME
    newest = walk_roots(open_root(roots[0]), roots[1:])
    if offer.project == pin.project and offer.trusted.root.version > newest.root.version + 1:
        raise InputError(
            f"version {offer.trusted.root.version} does not follow directly",
            where=name,
            expected=f"version {newest.root.version + 1}",
            hint=f"get the versions between: relsign trust refresh {name}",
        )
    try:
        extend_root(newest, offer.trusted.data)
    except (VerificationError, NotEnoughError) as error:
        raise _unrelated(name, pin, offer, error) from error
    return Standing.FOLLOWS


def resembling(store: TrustStore, name: str, project: str) -> tuple[Pin, ...]:
    """Return pins under other names whose project is this one, or looks like it."""
    found = []
    for other in store.names():
        try:
            pin = store.find_pin(other)
        except InputError:
            continue
        if pin is not None and other != name and _shape(pin.project) == _shape(project):
            found.append(pin)
    return tuple(found)


def pins_root(store: TrustStore, pin: Pin, offer: Offer) -> bool:
    """Say whether a pin holds this very root, as pinned or as accepted since."""
    if offer.trusted.digest in {pin.root_sha256, pin.memory.root.sha256}:
        return True
    try:
        roots = store.standing_roots(pin.name)
    except RelsignError:
        return False
    return offer.trusted.digest in {open_root(data).digest for data in roots}


def _shape(name: str) -> str:
    """Return what two names have in common that a hasty reader takes for one."""
    return name.casefold().translate(_LOOK_ALIKE).replace("rn", "m")


def _unrelated(
    name: str, pin: Pin, offer: Offer, error: VerificationError | NotEnoughError
) -> VerificationError:
    return VerificationError(
        f"another root is pinned under that name, and does not stand behind this one: {error.what}",
        where=name,
        expected=f"{pin.project}: {digest_words(pin.root_sha256)}",
        got=f"{offer.project}: {offer.words}",
        hint=f"choose another name with --name, or first run relsign trust remove {name}",
    )


def _fetched(address: str) -> bytes:
    sink = io.BytesIO()
    try:
        download(address, sink, FetchLimits(max_bytes=MAX_ROOT_BYTES))
    except HostError as error:
        raise HostError(
            error.what,
            where=error.where,
            expected=error.expected,
            got=error.got,
            hint=error.hint or "look at the address, or download root.json and pin the file",
        ) from error
    return sink.getvalue()
