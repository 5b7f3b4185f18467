"""Writing signatures beside others': junk, limits, and other writers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from relsign.crypto.keys import Ed25519Public, Party
from relsign.errors import HostError, InputError
from relsign.formats.envelope import (
    INTOTO_PAYLOAD,
    MAX_SIGNATURES,
    Envelope,
    Signature,
    parse_envelope,
)
from relsign.sign.merge import add_signatures
from tests.verify.releases import NOW, make_root, parties, signature_by

PAYLOAD = b"payload"
PARTIES: tuple[Party, ...] = tuple(parties(make_root()).values())


def envelope(*signatures: Signature) -> Envelope:
    return Envelope(payload=PAYLOAD, payload_type=INTOTO_PAYLOAD, signatures=signatures)


def add(path: Path, *signatures: Signature, patience_seconds: float = 5) -> tuple[str, ...]:
    return add_signatures(
        path, envelope(*signatures), PARTIES, NOW, patience_seconds=patience_seconds
    )


def test_an_envelope_full_of_junk_still_takes_a_signature(tmp_path: Path) -> None:
    path = tmp_path / "document"
    junk = [Signature(keyid="aaaaaaaa", sig=bytes([n])) for n in range(MAX_SIGNATURES)]
    path.write_bytes(envelope(*junk).to_bytes())
    assert add(path, signature_by("sam", PAYLOAD)) == ("sam",)
    written = parse_envelope(path.read_bytes(), "document")
    assert written.signatures == (signature_by("sam", PAYLOAD),)


def test_a_good_signature_stays_under_its_own_label(tmp_path: Path) -> None:
    path = tmp_path / "document"
    mislabelled = Signature(keyid="bbbbbbbb", sig=signature_by("olga", PAYLOAD).sig)
    path.write_bytes(envelope(mislabelled).to_bytes())
    assert add(path, signature_by("sam", PAYLOAD)) == ("sam",)
    written = parse_envelope(path.read_bytes(), "document")
    assert set(written.signatures) == {
        signature_by("sam", PAYLOAD),
        signature_by("olga", PAYLOAD),
    }


def test_a_bad_signature_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "document"
    keyid = signature_by("sam", PAYLOAD).keyid
    assert add(path, Signature(keyid=keyid, sig=bytes(64))) == ()
    assert not path.exists()


def test_signing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "document"
    assert add(path, signature_by("sam", PAYLOAD)) == ("sam",)
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert add(path, signature_by("sam", PAYLOAD)) == ()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_another_payload_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "document"
    other = Envelope(payload=b"other", payload_type=INTOTO_PAYLOAD, signatures=())
    path.write_bytes(other.to_bytes())
    with pytest.raises(InputError, match="another document"):
        add(path, signature_by("sam", PAYLOAD))
    assert path.read_bytes() == other.to_bytes()


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_strange_lock_is_this_machines_fault(tmp_path: Path, kind: str) -> None:
    lock = tmp_path / ".document.lock"
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    if kind == "folder":
        lock.mkdir()
    else:
        lock.symlink_to(target)
    with pytest.raises(HostError) as caught:
        add(tmp_path / "document", signature_by("sam", PAYLOAD))
    assert caught.value.where == str(lock)
    assert target.read_bytes() == b"mine"


def test_a_folder_nobody_can_write_is_this_machines_fault() -> None:
    # Not even the superuser makes files here.
    with pytest.raises(HostError):
        add(Path("/proc/self/fdinfo/document"), signature_by("sam", PAYLOAD), patience_seconds=0.2)


def test_another_writer_is_waited_for_and_then_named(tmp_path: Path) -> None:
    program = (
        "import filelock, sys, time\n"
        "lock = filelock.FileLock(sys.argv[1])\n"
        "lock.acquire()\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / ".document.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(HostError, match="somebody else is writing"):
                add(tmp_path / "document", signature_by("sam", PAYLOAD), patience_seconds=0.2)
        finally:
            holder.kill()
    assert add(tmp_path / "document", signature_by("sam", PAYLOAD)) == ("sam",)


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "document"
    keys = [SigningKey(bytes([n]) * 32) for n in range(MAX_SIGNATURES + 1)]
    crowd = tuple(_party(f"sam{n}", key) for n, key in enumerate(keys))
    message = envelope().signed_bytes()
    signatures = [
        Signature(keyid=party.keyid, sig=key.sign(message).signature)
        for party, key in zip(crowd, keys, strict=True)
    ]
    with pytest.raises(InputError):
        add_signatures(path, envelope(*signatures), crowd, NOW)
    assert not path.exists()


def _party(name: str, key: SigningKey) -> Party:
    return Party(name, name, "acme", ("signer",), Ed25519Public(key.verify_key.encode()))
