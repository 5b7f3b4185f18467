"""The stock in-toto verifier on evidence in memory: as a library, and as its program."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import warnings
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from in_toto import exceptions
from in_toto.models.metadata import Metadata
from in_toto.verifylib import in_toto_verify
from securesystemslib.exceptions import Error as SecureSystemsError

from relsign.crypto.keys import Ed25519Public
from relsign.formats.bundle import LAYOUT_FILE
from tests.verify.releases import secret

IN_TOTO_VERIFY = Path(sys.executable).with_name("in-toto-verify")

REFUSALS: tuple[type[Exception], ...] = (
    SecureSystemsError,
    exceptions.ThresholdVerificationError,
    exceptions.LinkNotFoundError,
    exceptions.LayoutExpiredError,
    exceptions.SignatureVerificationError,
    exceptions.RuleVerificationError,
    exceptions.BadReturnValueError,
    # What its parsers raise on bytes that are no metadata.
    AttributeError,
    TypeError,
    KeyError,
    ValueError,
)
"""All the ways in-toto says no; anything else is a failed test."""


def owner_key(name: str) -> dict[str, object]:
    """Return an owner's key as in-toto takes it."""
    raw = secret(name).verify_key.encode()
    return {
        "keyid": Ed25519Public(raw).keyid,
        "keytype": "ed25519",
        "scheme": "ed25519",
        "keyval": {"public": raw.hex()},
    }


def write_pem(name: str, folder: Path) -> Path:
    """Write an owner's public key as the program reads it."""
    public = Ed25519PublicKey.from_public_bytes(secret(name).verify_key.encode())
    path = folder / f"{name}.pem"
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def lay_out(folder: Path, files: Mapping[str, bytes], artifacts: Mapping[str, bytes]) -> Path:
    """Write a release as it is downloaded; return the folder of its evidence."""
    evidence = folder / "in-toto"
    evidence.mkdir(parents=True)
    for name, data in files.items():
        place = folder if name.endswith(".fingerprint.json") else evidence
        (place / name).write_bytes(data)
    for name, data in artifacts.items():
        (folder / name).write_bytes(data)
    return evidence


def says_no(
    folder: Path,
    files: Mapping[str, bytes],
    artifacts: Mapping[str, bytes],
    owners: Iterable[str],
) -> str:
    """Return why the library refuses a release, or nothing if it accepts it."""
    evidence = lay_out(folder, files, artifacts)
    keys = {str(key["keyid"]): key for key in map(owner_key, owners)}
    try:
        # It records the current folder, and leaves nothing there when told so.
        with contextlib.chdir(folder), warnings.catch_warnings():
            # It asks a library of its own for a name that library has given up.
            warnings.simplefilter("ignore", DeprecationWarning)
            layout = Metadata.load(str(evidence / LAYOUT_FILE))
            in_toto_verify(layout, keys, str(evidence), persist_inspection_links=False)
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}"
    return ""


def program_says(
    folder: Path,
    files: Mapping[str, bytes],
    artifacts: Mapping[str, bytes],
    owners: Iterable[str],
) -> int:
    """Return the exit code of the program."""
    evidence = lay_out(folder, files, artifacts)
    keys = [write_pem(name, folder.parent) for name in owners]
    return subprocess.run(
        [IN_TOTO_VERIFY, "--layout", evidence / LAYOUT_FILE, "--link-dir", evidence,
         "--verification-keys", *keys],
        cwd=folder, capture_output=True, check=False,
    ).returncode  # fmt: skip


def payload_of(data: bytes) -> dict[str, object] | None:
    """Return the payload of an envelope, or None where there is none to read."""
    try:
        text = json.loads(data)["payload"]
        found = json.loads(urlsafe_b64decode(text.replace("+", "-").replace("/", "_")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if isinstance(found, dict) else None


def agreeing(files: Mapping[str, bytes], version: str) -> dict[str, bytes]:
    """Return the evidence without the links of the minority of each step.

    Worked out without `relsign`: by what the links say, whoever signed them.
    """
    says: dict[str, tuple[str, str]] = {}
    for name, data in files.items():
        link = payload_of(data) if name.endswith(".link") else None
        if link is None or link.get("_type") != "link":
            continue
        if link.get("name") != name.split(".")[0] or not _bound(link, version):
            continue
        both = json.dumps([link.get("materials"), link.get("products")], sort_keys=True)
        says[name] = (str(link["name"]), both)
    most = {
        step: Counter(both for s, both in says.values() if s == step).most_common(1)[0][0]
        for step, _ in says.values()
    }
    kept = {name for name, (step, both) in says.items() if most[step] == both}
    return {n: data for n, data in files.items() if not n.endswith(".link") or n in kept}


def _bound(link: Mapping[str, object], version: str) -> bool:
    return link.get("environment") == {"project": "demo", "version": version}
