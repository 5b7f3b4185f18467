"""What no signature file for stock tools can be made by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from relsign.crypto.keys import EcdsaPublic, Party
from relsign.crypto.stock import MINISIGN, StockFile, release_key, stock_files
from relsign.errors import InputError

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
ODD = Party("odd", "odd", "acme", ("release",), EcdsaPublic(b"not a key"))


def test_a_release_key_that_stock_tools_do_not_know_is_none() -> None:
    assert release_key((ODD,)) is None
    assert stock_files((ODD,)) == ()


def test_nothing_is_believed_of_another_kind_of_key() -> None:
    with pytest.raises(InputError, match="stock tools"):
        StockFile(ODD, "odd.minisig", MINISIGN).checked(b"", b"manifest", NOW)
