"""The digest of a stack of layers (OCI image specification 1.0, "Layer ChainID").

A layer alone is named by the SHA-256 of its uncompressed tar; a layer on others by the
SHA-256 of the text ``BELOW LAYER``.  So one digest binds all layers and their order, and
for a root file system that is one tar it is that tar's own digest.

    >>> chain_id(["ab" * 32]) == "ab" * 32
    True
    >>> chain_id(["ab" * 32, "cd" * 32])[:12]
    '015ea02ced74'
"""

from __future__ import annotations

from collections.abc import Sequence

from relsign.crypto.digest import sha256_hex
from relsign.formats.names import Digest


def chain_id(diffs: Sequence[str]) -> Digest:
    """Return the ChainID of layers, each the hex SHA-256 of its tar, lowest first.

    Raises ValueError for none: an image without a layer has no root file system.
    """
    if not diffs:
        raise ValueError("no layer")
    chain = Digest(diffs[0])
    for diff in diffs[1:]:
        chain = sha256_hex(f"sha256:{chain} sha256:{diff}".encode())
    return chain
