"""What a thief of a key file has to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

from relsign.sign.signers.file import ROUNDS, create_key_file, load_file_signer


def test_a_passphrase_is_slow_to_guess(tmp_path: Path) -> None:
    path = tmp_path / "private" / "key.pem"
    raw = create_key_file(path, b"correct horse battery")
    shown = subprocess.run(
        ["openssl", "asn1parse", "-in", path], capture_output=True, text=True, check=True
    ).stdout
    assert f"INTEGER           :{ROUNDS:06X}" in shown
    assert "hmacWithSHA256" in shown
    assert "aes-256-cbc" in shown
    assert load_file_signer(path, b"correct horse battery").public.data == raw


def test_openssl_reads_the_key(tmp_path: Path) -> None:
    path = tmp_path / "private" / "key.pem"
    create_key_file(path, b"correct horse battery")
    done = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", "stdin", "-noout", "-text"],
        input="correct horse battery\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ED25519 Private-Key" in done.stdout
