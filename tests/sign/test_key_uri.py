"""Key URIs: one text for one place, and no secret in it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.sign.keys.uri import (
    FileUri,
    GnupgUri,
    KeyUri,
    Pkcs11Uri,
    SshAgentUri,
    parse_key_uri,
    parse_signer_file,
    signer_file,
)

FPR = "0123456789ABCDEF0123456789ABCDEF01234567"
SSH = "SHA256:" + "A" * 42 + "E"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"

GOOD: dict[str, KeyUri] = {
    "file:key.pem": FileUri("key.pem"),
    f"gnupg:{FPR}": GnupgUri(FPR),
    f"gnupg:{FPR}?home=/home/zo%C3%AB/.gnupg": GnupgUri(FPR, "/home/zo\u00eb/.gnupg"),
    f"ssh-agent:{SSH}": SshAgentUri(SSH),
    f"ssh-agent:{SSH}?socket=/run/user/1000/a%3Fb": SshAgentUri(SSH, "/run/user/1000/a?b"),
    f"pkcs11:token=My%20card;id=%01%FF?module-path={MODULE}": Pkcs11Uri(
        MODULE, token="My card", id=b"\x01\xff"
    ),
    f"pkcs11:serial=f5;object=a%3Bb?module-path={MODULE}": Pkcs11Uri(
        MODULE, serial="f5", object="a;b"
    ),
}

OTHER_FORMS = {
    f"gnupg:{FPR.lower()}": f"gnupg:{FPR}",
    f"gnupg:{FPR}?home=/%68ome": f"gnupg:{FPR}?home=/home",
    f"pkcs11:id=%0a;token=%54?module-path={MODULE}": f"pkcs11:token=T;id=%0A?module-path={MODULE}",
    "pkcs11:object=o;token=T?module-path=/lib.so": "pkcs11:token=T;object=o?module-path=/lib.so",
}

BAD = {
    "": "not a key URI",
    "key.pem": "not a key URI",
    "file": "not a key URI",
    "FILE:key.pem": "not a key URI",
    "https://example.org/key": "not a key URI",
    "file:key.pem\n": "not a key URI",
    "file:k\u00e9y.pem": "not a key URI",
    "file:" + "k" * 1_000: "not a key URI",
    "file:": "beside the card",
    "file:../key.pem": "beside the card",
    "file:/key.pem": "beside the card",
    "file:.key": "beside the card",
    "file:-key": "beside the card",
    "file:key%2Epem": "beside the card",
    "frost:release": "through a ceremony",
    "gnupg:": "not a fingerprint",
    f"gnupg:{FPR[1:]}": "not a fingerprint",
    f"gnupg:{FPR}!": "not a fingerprint",
    f"gnupg:{FPR}?": "after the \\?",
    f"gnupg:{FPR}?home=": "after the \\?",
    f"gnupg:{FPR}?socket=/a": "after the \\?",
    f"gnupg:{FPR}?home=/a&home=/b": "after the \\?",
    f"gnupg:{FPR}?home=rel": "absolute",
    f"gnupg:{FPR}?home=/": "absolute",
    f"gnupg:{FPR}?home=//a": "absolute",
    f"gnupg:{FPR}?home=/a/": "absolute",
    f"gnupg:{FPR}?home=/a/../b": "absolute",
    f"gnupg:{FPR}?home=/a/./b": "absolute",
    f"gnupg:{FPR}?home=/a%00": "absolute",
    f"gnupg:{FPR}?home=/a%0Ab": "absolute",
    f"gnupg:{FPR}?home=/a%ff": "UTF-8",
    f"gnupg:{FPR}?home=/a%2": "broken escape",
    f"gnupg:{FPR}?home=/a%zz": "broken escape",
    "ssh-agent:MD5:00": "not a fingerprint",
    f"ssh-agent:{SSH}=": "not a fingerprint",
    f"ssh-agent:{SSH[:-1]}B": "not a fingerprint",
    f"ssh-agent:{SSH}?socket=agent": "absolute",
    "pkcs11:": "no module",
    "pkcs11:token=T;object=o": "no module",
    "pkcs11:token=T;object=o?module-path=lib.so": "absolute",
    "pkcs11:token=T;object=o?module-name=softhsm": "after the \\?",
    f"pkcs11:?module-path={MODULE}": "not an attribute",
    f"pkcs11:token=T?module-path={MODULE}": "does not name one key",
    f"pkcs11:object=o?module-path={MODULE}": "does not name one key",
    f"pkcs11:token=T;token=U;object=o?module-path={MODULE}": "named twice",
    f"pkcs11:token=;object=o?module-path={MODULE}": "not an attribute",
    f"pkcs11:token=T;object=o;?module-path={MODULE}": "not an attribute",
    f"pkcs11:token=T;object=o;type=private?module-path={MODULE}": "not an attribute",
    f"pkcs11:token=T;object=%ff?module-path={MODULE}": "UTF-8",
    f"pkcs11:token=T;object=%20o?module-path={MODULE}": "malformed object",
    f"pkcs11:token={'T' * 33};object=o?module-path={MODULE}": "malformed token",
    f"pkcs11:token=T;id={'%01' * 65}?module-path={MODULE}": "too long",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_uri_names_a_place_and_is_written_back(text: str) -> None:
    assert parse_key_uri(text, "t") == GOOD[text]
    assert GOOD[text].to_text() == text
    assert parse_signer_file(signer_file(GOOD[text]), "t") == GOOD[text]


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_other_forms_are_read_from_people_and_refused_in_a_file(text: str) -> None:
    assert parse_key_uri(text, "t").to_text() == OTHER_FORMS[text]
    with pytest.raises(InputError, match="one form"):
        parse_signer_file(f'uri = "{text}"\n'.encode(), "t")


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_key_uri(text: str) -> None:
    with pytest.raises(InputError, match=BAD[text]) as refused:
        parse_key_uri(text, "t")
    assert refused.value.where == "t"
    assert refused.value.hint


@pytest.mark.parametrize("name", ["pin-value", "pin-source"])
@pytest.mark.parametrize("before", ["", f"module-path={MODULE}&"])
def test_a_pin_in_a_uri_is_refused_and_not_repeated(name: str, before: str) -> None:
    with pytest.raises(InputError, match=name) as refused:
        parse_key_uri(f"pkcs11:token=T;object=o?{before}{name}=314159", "t")
    assert "314159" not in str(refused.value) + refused.value.hint + refused.value.got


@pytest.mark.parametrize(
    "data",
    [b"", b"uri = 1\n", b'uri = ""\n', b'uri = "file:k"\npin = "1"\n', b"\xff", b"u" * 4_001],
)
def test_what_is_no_signer_file(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_signer_file(data, "t")


LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
PATHS = st.lists(st.text(string.ascii_letters + " %?&;=\u00e9", min_size=1, max_size=9), min_size=1)


@given(LETTERS, LETTERS, st.binary(max_size=64), PATHS)
def test_any_token_is_written_and_read_back(
    token: str, label: str, key_id: bytes, parts: list[str]
) -> None:
    uri = Pkcs11Uri(
        "/" + "/".join(parts[:5]),
        token=_cut(token, 32),
        object=_cut(label, 64),
        id=key_id,
    )
    assert parse_key_uri(uri.to_text(), "t") == uri


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(rest: str) -> None:
    for scheme in ("file:", "gnupg:", "ssh-agent:", "pkcs11:", "frost:", ""):
        try:
            parse_key_uri(scheme + rest, "t")
        except InputError:
            continue
