"""Ways to make Bob's signed manifest count for nobody, and the reason given for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.trust.sums_maker import ALL, BEFORE, DEMO, OTHER, Repository

WHERE = f"1.0/bob/{ALL}.asc"


def signature_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.asc")


def altered(it: Repository) -> None:
    it.manifest("bob").write_bytes(OTHER)


def line_ends_altered(it: Repository) -> None:
    it.manifest("bob").write_bytes(DEMO.replace(b"\n", b"\r\n"))


def sha1(it: Repository) -> None:
    it.put("bob", DEMO, "--digest-algo", "SHA1")


def text_mode(it: Repository) -> None:
    it.put("bob", DEMO, "--textmode")
    it.manifest("bob").write_bytes(DEMO.replace(b"\n", b"\r\n"))


def clear_text(it: Repository) -> None:
    path = it.manifest("bob")
    gpg, key = it.people.gpg, it.people.keys["bob"]
    gpg.run("--local-user", key, "--output", signature_of(path), "--clear-sign", path)


def inline(it: Repository) -> None:
    path = it.manifest("bob")
    gpg, key = it.people.gpg, it.people.keys["bob"]
    gpg.run("--local-user", key, "--armor", "--output", signature_of(path), "--sign", path)


def two(it: Repository) -> None:
    good = signature_of(it.manifest("bob")).read_bytes()
    bad = signature_of(it.put("bob", OTHER)).read_bytes()
    it.manifest("bob").write_bytes(DEMO)
    signature_of(it.manifest("bob")).write_bytes(good + bad)


def two_good(it: Repository) -> None:
    path = signature_of(it.manifest("bob"))
    path.write_bytes(path.read_bytes() * 2)


def many(it: Repository) -> None:
    path = signature_of(it.manifest("bob"))
    path.write_bytes(path.read_bytes() * 17)


def stranger(it: Repository) -> None:
    it.put("bob", key="stranger")


def misfiled(it: Repository) -> None:
    it.put("bob", key="alice")


def empty(it: Repository) -> None:
    signature_of(it.manifest("bob")).write_bytes(b"")


def garbage(it: Repository) -> None:
    signature_of(it.manifest("bob")).write_bytes(bytes(700))


def large(it: Repository) -> None:
    signature_of(it.manifest("bob")).write_bytes(b"-" * (1 << 17))


def fifo(it: Repository) -> None:
    signature_of(it.manifest("bob")).unlink()
    os.mkfifo(signature_of(it.manifest("bob")))


def link(it: Repository) -> None:
    path = signature_of(it.manifest("bob"))
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def expired(it: Repository) -> None:
    it.put_key("bob", "late")
    it.put("bob", key="late", at=BEFORE)


def expired_signature(it: Repository) -> None:
    it.put("bob", DEMO, "--default-sig-expire", "1d", at="20240101T000000", key="late")
    it.put_key("bob", "late")


def from_the_future(it: Repository) -> None:
    it.put("bob", at="20500101T000000")


def public_key(it: Repository) -> None:
    key = it.people.gpg.certificate(it.people.keys["bob"])
    signature_of(it.manifest("bob")).write_bytes(key)


BROKEN: list[tuple[Callable[[Repository], None], str]] = [
    (altered, "signature is not over these bytes"),
    (line_ends_altered, "signature is not over these bytes"),
    (sha1, "signature uses a weak hash"),
    (text_mode, "signature is not over binary data"),
    (clear_text, "clear-text signature, not a detached one"),
    (inline, "not an armoured block"),
    (two, "more than one signature"),
    (two_good, "more than one signature"),
    (many, "more than one signature"),
    (stranger, "key is not among the given ones"),
    (misfiled, "misfiled: the key is another builder's"),
    (empty, "not a detached OpenPGP signature"),
    (garbage, "OpenPGP data is not a packet"),
    (large, "too large"),
    (fifo, "not a regular file"),
    (link, "not a regular file"),
    (expired, "key has expired"),
    (expired_signature, "signature has expired"),
    (from_the_future, "signature has an impossible date"),
    (public_key, "not an armoured block"),
]
