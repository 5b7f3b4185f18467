"""Shell lines that redo one small thing each with tools everybody has.

Pure: values in, lines out.  Every value is quoted for the shell, and each command is one
line of printable characters.  They use what POSIX and coreutils give (`sha256sum`,
`grep`, `basenc`, `test`), openssl or gpgv for signatures, and python3 to take JSON apart,
isolated (`-I`) so that no file lying in the current folder is imported.

    >>> has_digest("a b", "00" * 32)
    "sha256sum < 'a b' | grep -F 0000000000000000000000000000000000000000000000000000000000000000"
"""

from __future__ import annotations

import shlex
import string

from relsign.formats.roster import RsaScheme

_LITERAL = frozenset(string.ascii_letters + string.digits + " /._-")
_SPKI_ED25519 = "302a300506032b6570032100"
"""DER of a SubjectPublicKeyInfo before the 32 bytes of an Ed25519 key (RFC 8410)."""

_UNPACK = (
    'import base64,json,sys; f=json.load(open(sys.argv[1]))["files"]; '
    '[open(sys.argv[2]+"/"+n,"wb").write(base64.b64decode(f[n])) for n in sys.argv[3:]]'
)
_OPEN = (
    "import base64,json,sys; n=sys.argv[1]; e=json.load(open(n)); d=base64.b64decode; "
    'open(n+".payload","wb").write(d(e["payload"])); '
    '[open("%s.%d.sig"%(n,i),"wb").write(d(s["sig"])) for i,s in enumerate(e["signatures"])]'
)
_ROOT = (
    "import json,sys; r=json.load(open(sys.argv[1])); n=sys.argv[2]; "
    'open(n,"w",encoding="utf-8").write(json.dumps(r["signed"],sort_keys=True,'
    'separators=(",",":"),ensure_ascii=False)); '
    '[open("%s.%d.sig"%(n,i),"wb").write(bytes.fromhex(s["sig"])) '
    'for i,s in enumerate(r["signatures"])]'
)
_MEMBER_KEY = (
    'import base64,json,sys; m=json.load(open(sys.argv[1]))["x-relsign"]["members"]; '
    'open(sys.argv[4],"wb").write(base64.b64decode('
    '[x["key"][sys.argv[3]] for x in m if x["name"]==sys.argv[2]][0]))'
)
_SCHEMES: dict[RsaScheme, tuple[str, ...]] = {
    "rsassa-pss-sha256": (
        *("-digest", "sha256", "-pkeyopt", "rsa_padding_mode:pss"),
        *("-pkeyopt", "rsa_pss_saltlen:auto", "-pkeyopt", "rsa_mgf1_md:sha256"),
    ),
    "rsa-pkcs1v15-sha512": ("-digest", "sha512", "-pkeyopt", "rsa_padding_mode:pkcs1"),
}
"""What openssl is to be told of how a key signs."""
_PRODUCTS = (
    'import json,sys; print(json.dumps(json.load(open(sys.argv[1]))["products"],'
    "sort_keys=True,indent=1))"
)
_REVOKED = (
    'import json,sys; r=json.load(open(sys.argv[1]))["x-relsign"].get("revoked") or []; '
    'print("taken back:",r); sys.exit(any(x.get("statement_sha256")==sys.argv[2] '
    'or x.get("version")==sys.argv[3] for x in r))'
)


def safe_path(path: str) -> str:
    """Return a path that no program takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def quote(word: str) -> str:
    """Return a word quoted for a POSIX shell, in one line of printable characters.

    What could steer a terminal or end a line is written as its bytes in octal, for
    `printf` to bring back.  An end of line at the very end is lost: then the file is not
    found, and the command fails.
    """
    if word.isprintable():
        return shlex.quote(word)
    data = word.encode("utf-8", "surrogateescape")
    octal = "".join(chr(b) if chr(b) in _LITERAL else f"\\0{b:03o}" for b in data)
    return f"\"$(printf %b '{octal}')\""


def line(*words: str) -> str:
    """Return one command, every word quoted."""
    return " ".join(quote(word) for word in words)


def make_folder(folder: str) -> str:
    """Make the folder everything is unpacked into; fail if somebody made it before."""
    return line("mkdir", folder)


def unpack_bundle(bundle: str, folder: str, names: tuple[str, ...]) -> str:
    """Write files of a bundle into `folder`."""
    return line("python3", "-I", "-c", _UNPACK, bundle, folder, *names)


def open_envelope(envelope: str) -> str:
    """Write a DSSE envelope's payload and signatures beside it."""
    return line("python3", "-I", "-c", _OPEN, envelope)


def encode_payload(envelope: str, payload_type: str) -> str:
    """Write what the signatures of an opened envelope are over: DSSE's PAE."""
    payload = quote(f"{envelope}.payload")
    kind = len(payload_type.encode())
    head = line("printf", "DSSEv1 %s %s %s ", str(kind), payload_type)
    # The arithmetic strips the blanks some `wc` put before the number.
    whole = f'{head} "$(($(wc -c < {payload})))"; cat {payload}'
    return f"{{ {whole}; }} > {quote(f'{envelope}.pae')}"


def open_root(root: str, signed: str) -> str:
    """Write the signed part of a root, in canonical form, and its signatures."""
    return line("python3", "-I", "-c", _ROOT, root, signed)


def write_key(public_hex: str, file: str) -> str:
    """Write an Ed25519 public key in the form openssl reads."""
    der = (_SPKI_ED25519 + public_hex).upper()
    return f"printf %s {der} | basenc --base16 -d > {quote(file)}"


def write_pem(der: str, pem: str) -> str:
    """Write a key that was written by `write_key` as PEM."""
    return line("openssl", "pkey", "-pubin", "-inform", "DER", "-in", der, "-out", pem)


def verify_ed25519_by_hand(key: str, signature: str, signed: str) -> str:
    """Check an Ed25519 signature with openssl: the line fails, this raises nothing."""
    return _pkeyutl(key, (), signature, signed)


def verify_ecdsa_by_hand(key: str, signature: str, signed: str) -> str:
    """Check an ECDSA signature over SHA-256 with openssl: the line fails, this raises nothing."""
    return _pkeyutl(key, ("-digest", "sha256"), signature, signed)


def verify_rsa_by_hand(scheme: RsaScheme, key: str, signature: str, signed: str) -> str:
    """Check an RSA signature with openssl, by one scheme: the line fails, this raises nothing."""
    return _pkeyutl(key, _SCHEMES[scheme], signature, signed)


def _pkeyutl(key: str, scheme: tuple[str, ...], signature: str, signed: str) -> str:
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", key]
    return line(*words, "-rawin", *scheme, "-sigfile", signature, "-in", signed)


def write_certificate(signed_root: str, member: str, file: str) -> str:
    """Write a member's OpenPGP certificate out of a root."""
    return line("python3", "-I", "-c", _MEMBER_KEY, signed_root, member, "certificate", file)


def write_spki(signed_root: str, member: str, file: str) -> str:
    """Write a member's ECDSA or RSA key out of a root, in the form openssl reads."""
    return line("python3", "-I", "-c", _MEMBER_KEY, signed_root, member, "public", file)


def verify_openpgp_by_hand(certificate: str, signature: str, signed: str) -> str:
    """Check an OpenPGP signature with gpgv: the line fails, this raises nothing."""
    return line("gpgv", "--keyring", certificate, signature, signed)


def has_digest(file: str, sha256_hex: str) -> str:
    """Hash a file; the line fails unless the digest is that one."""
    return f"sha256sum < {quote(file)} | {line('grep', '-F', sha256_hex)}"


def holds(file: str, text: str) -> str:
    """Show a text that must stand in a file."""
    return line("grep", "-o", "-m", "1", "-F", "-e", text, file)


def not_yet(moment: str) -> str:
    """Fail when the clock is past `moment` (``2026-11-21T08:00:00Z``)."""
    return f"""test "$(date -u +%Y-%m-%dT%H:%M:%SZ)" '<' {quote(moment)}"""


def list_products(link: str) -> str:
    """Write what a link's builder says it made, a line per digest."""
    target = quote(f"{link}.products")
    return f"{line('python3', '-I', '-c', _PRODUCTS, f'{link}.payload')} > {target}"


def same_products(one: str, two: str) -> str:
    """Compare what two builders made."""
    return line("diff", f"{one}.products", f"{two}.products")


def not_revoked(signed_root: str, statement_sha256: str, version: str) -> str:
    """Show what the owners took back; fail when this release is among it."""
    return line("python3", "-I", "-c", _REVOKED, signed_root, statement_sha256, version)


def in_toto_verify(publication: str, folder: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Ask the reference verifier, in a copy, for it leaves a file behind."""
    copy = f"{folder}/copy"
    words = ["in-toto-verify", "--layout", "in-toto/release.layout", "--link-dir", "in-toto"]
    keys_there = [f"../{key}" for key in keys]
    run = line(*words, "--verification-keys", *keys_there)
    return (
        line("cp", "-r", publication, copy),
        f"(cd {quote(copy)} && {run})",
    )
