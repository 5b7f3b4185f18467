"""What goes over the wire to a relay and back: one form each, all else refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.relay import (
    MAX_HEADER_BYTES,
    PAGE_MESSAGES,
    Credential,
    Page,
    PageMessage,
    Receipt,
    RelayRefusal,
    RelayRequest,
    parse_header,
    parse_page,
    parse_receipt,
    parse_refusal,
    parse_request,
    topic_path,
)
from relsign.system.address import audience_of
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    REMOVE,
    Row,
    assert_refused,
    change,
    dump,
)

REQUEST = RelayRequest(
    audience="https://relay.example",
    body_sha256=Digest(AA),
    method="GET",
    nonce="0f" * 16,
    path=topic_path("b" * 64, 7),
    time=datetime(2026, 11, 21, 8, tzinfo=UTC),
)
PAGE = Page(
    messages=(PageMessage(message="aGk=", number=1), PageMessage(message="aG8=", number=3)),
    more=True,
)
RECEIPT = Receipt(number=4, sha256=Digest(AA))
REFUSAL = RelayRefusal(error="members only", hint="ask")
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "request": (parse_request, REQUEST.to_bytes()),
    "page": (lambda data: parse_page(data, "page"), PAGE.to_bytes()),
    "receipt": (lambda data: parse_receipt(data, "receipt"), RECEIPT.to_bytes()),
    "refusal": (lambda data: parse_refusal(data, "refusal"), REFUSAL.to_bytes()),
}
BAD_PATHS = (
    "", "/", "/v1/topics/", "/v1/topics/" + "b" * 63, "/v1/topics/" + "B" * 64,
    f"/v1/topics/{'b' * 64}/", f"/v1/topics/{'b' * 64}?after=", f"/v1/topics/{'b' * 64}?after=-1",
    f"/v1/topics/{'b' * 64}?after=07", f"/v1/topics/{'b' * 64}?after=1&after=2",
    f"/v1/topics/{'b' * 64}?after=1234567890", f"//v1/topics/{'b' * 64}",
    f"/v1/topics/../topics/{'b' * 64}", f"/v1/topics/%62{'b' * 63}", f"/v1/topics/{'b' * 64}\n",
)  # fmt: skip
BAD_ADDRESSES = (
    *("", "relay.example", "ftp://relay.example", "https://", "https:///x", "https://a b"),
    *("https://relay.example/?x", "https://relay.example/#x", "https://u:p@relay.example"),
    *("https://relay.example:0", "https://relay.example:99999999", "https://relay.example:x"),
    *("https://relay.example/../x", "https://relay.example//x", "https://relay.example/%2e"),
    *("https://[::1", "https://r\u00e9lay.example", "https://-relay", "file:///etc/passwd"),
    *(
        "https://relay.example?",
        "https://relay.example#",
        "https://relay.example/\n",
        " https://relay.example",
        "https://relay.exam\tple",
    ),
)
ROWS: dict[str, list[Row]] = {
    "request": [
        *(((name,), REMOVE, "", f"expected {name}") for name in ("audience", "nonce", "time")),
        *((("audience",), bad, "audience", "address") for bad in BAD_ADDRESSES),
        (("audience",), "https://relay.example/", "audience", "address"),
        (("audience",), "https://Relay.example", "audience", "address"),
        *((("path",), bad, "path", "/v1/topics/") for bad in BAD_PATHS),
        *((("body_sha256",), bad, "body_sha256", "") for bad in BAD_DIGESTS),
        *((("method",), bad, "method", "") for bad in ("", "get", "PUT", "HEAD", 1)),
        (("method",), "POST", "", "POST takes no after"),
        (("format",), "relsign/relay-request/2", "format", ""),
        *((("nonce",), bad, "nonce", "32 digits") for bad in ("", "0" * 31, "F" * 32, "0" * 33)),
        (("time",), "2026-11-21T08:00:00", "time", ""),
        (("time",), "2026-11-21T08:00:00.5Z", "", "whole seconds"),
        (("time",), "2026-11-21T09:00:00+01:00", "", "whole seconds in UTC"),
        (("time",), 1, "time", ""),
        (("more",), 1, "", "unknown field"),
    ],
    "page": [
        *((("messages", 0, "number"), bad, "messages[0].number", "") for bad in BAD_INTEGERS),
        (("messages", 0, "number"), 0, "messages[0].number", ">= 1"),
        (("messages", 0, "number"), 3, "", "numbers do not rise"),
        (("messages", 0, "number"), 4, "", "numbers do not rise"),
        (("messages", 0, "message"), "", "messages[0].message", ""),
        (("messages", 0, "message"), "a b=", "messages[0].message", "base64"),
        (("messages", 0, "message"), "A" * 90_000, "messages[0].message", "length"),
        (("messages",), [], "", "more behind nothing"),
        (("messages",), {}, "messages", "list"),
        (("more",), "yes", "more", ""),
        (("more",), REMOVE, "", "expected more"),
    ],
    "receipt": [
        *((("sha256",), bad, "sha256", "") for bad in BAD_DIGESTS),
        *((("number",), bad, "number", "") for bad in BAD_INTEGERS if len(str(bad)) < 100),
    ],
    "refusal": [
        *((("error",), bad, "error", "") for bad in ("", "a\nb", "\x1b[2J", "x" * 201, 5)),
        (("hint",), "\u202e", "hint", ""),
    ],
}


@pytest.mark.parametrize("name", PARSERS)
def test_each_document_is_canonical(name: str) -> None:
    parse, data = PARSERS[name]
    value = parse(data)
    assert isinstance(value, RelayRequest | Page | Receipt | RelayRefusal)
    assert value.to_bytes() == data == rfc8785.dumps(json.loads(data))
    for spoilt in (data + b"\n", b" " + data, data[:-1], b"", data.replace(b":", b": ", 1)):
        with pytest.raises(InputError):
            parse(spoilt)


@pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name, rows in ROWS.items() for row in rows]
)
def test_a_wrong_document_is_refused(name: str, row: Row) -> None:
    parse, data = PARSERS[name]
    path, value, inside, words = row
    place = name + (f": {inside}" if inside else "")
    assert_refused(parse, dump(change(json.loads(data), path, value)), place, words)


def test_too_much_is_refused_before_it_is_read() -> None:
    many = tuple(PageMessage(message="aGk=", number=n + 1) for n in range(PAGE_MESSAGES + 1))
    with pytest.raises(InputError, match="length"):
        parse_page(Page(messages=many, more=False).to_bytes(), "page")
    for name in ("request", "receipt", "refusal"):
        with pytest.raises(InputError, match="too large"):
            PARSERS[name][0](b"{" * 901)
    with pytest.raises(InputError, match="too large"):
        PARSERS["page"][0](b"{" * ((1 << 20) + 1))


def test_a_request_says_what_is_asked_for() -> None:
    assert (REQUEST.topic, REQUEST.after) == ("b" * 64, 7)
    post = RelayRequest(
        audience="http://[::1]:8440",
        body_sha256=Digest(AA),
        method="POST",
        nonce="0" * 32,
        path=topic_path("c" * 64),
        time=REQUEST.time,
    )
    assert (post.topic, post.after) == ("c" * 64, 0)
    assert parse_request(post.to_bytes()) == post


CREDENTIAL = Credential("1" * 64, REQUEST.to_bytes(), b"\7" * 64)


def test_a_header_comes_back_as_it_was() -> None:
    header = CREDENTIAL.to_header()
    assert parse_header(header) == CREDENTIAL
    assert len(header) < MAX_HEADER_BYTES
    assert CREDENTIAL.signed_bytes().startswith(
        b"DSSEv1 42 application/vnd.relsign.relay-request+json "
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Relsign",
        "Bearer " + "1" * 64,
        CREDENTIAL.to_header()[:-1],
        CREDENTIAL.to_header() + "\n",
        CREDENTIAL.to_header() + " ",
        CREDENTIAL.to_header().replace("Relsign ", "relsign "),
        CREDENTIAL.to_header().replace("Relsign ", "Relsign  "),
        CREDENTIAL.to_header().replace(".", ":", 1),
        "Relsign " + CREDENTIAL.to_header()[8:].upper(),
        f"Relsign {'1' * 64}..{'0' * 128}",
        f"Relsign {'1' * 64}.abc.{'0' * 128}",
        f"Relsign {'1' * 64}.{'ab' * 901}.{'0' * 128}",
        "Relsign " + "1" * 100_000,
        "Relsign " + "\u0661" * 64 + ".ab." + "0" * 128,
    ],
)
def test_another_header_is_no_credential(header: str) -> None:
    with pytest.raises(InputError, match="no credential"):
        parse_header(header)


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://relay.example", "https://relay.example"),
        ("HTTPS://Relay.Example/", "https://relay.example"),
        ("https://relay.example:443", "https://relay.example"),
        ("http://relay.example:80/team/", "http://relay.example/team"),
        ("https://relay.example:80", "https://relay.example:80"),
        ("http://127.0.0.1:8440", "http://127.0.0.1:8440"),
        ("http://[::1]:8440/a/b", "http://[::1]:8440/a/b"),
    ],
)
def test_an_address_has_one_form(url: str, audience: str) -> None:
    assert audience_of(url) == audience == audience_of(audience)


@pytest.mark.parametrize("url", BAD_ADDRESSES)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not the address of a relay") as caught:
        audience_of(url)
    assert "u:p" not in caught.value.got


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, f"https://{text}"):
        try:
            assert audience_of(audience_of(url)) == audience_of(url)
        except InputError as error:
            assert error.hint  # noqa: PT017 - what is right in `try` is right as well
