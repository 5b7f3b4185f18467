"""The address of a relay, in the one form that requests to it are signed for.

>>> audience_of("https://Relay.example:443/team/")
'https://relay.example/team'
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from relsign.errors import InputError
from relsign.formats.relay import ADDRESS
from relsign.formats.shorten import shorten

_PLAIN_URL = re.compile(r"[^?#@\s\x00-\x1f]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def audience_of(url: str) -> str:
    """Return a relay's address in its one form: lower-case host, no default port, no end slash.

    Raises InputError for anything but http or https with a host, and for a user name,
    query or fragment in it.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError as error:
        raise _no_address(url) from error
    name = f"[{host}]" if ":" in host else host
    shown = "" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}"
    address = f"{scheme}://{name}{shown}{parts.path.rstrip('/')}"
    # What urlsplit would drop (line ends, an empty query) must not be there at all.
    if not _PLAIN_URL.fullmatch(url) or not re.fullmatch(ADDRESS, address):
        raise _no_address(url)
    return address


def _no_address(url: str) -> InputError:
    return InputError(
        "not the address of a relay",
        # A password may stand before the @.
        got=shorten(re.sub(r"//[^/]*@", "//", url)),
        expected="http or https, a host, and nothing behind the path",
        hint="write it as in https://relay.example",
    )
