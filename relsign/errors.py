"""The one exception tree: who can fix it decides the branch.

    RelsignError
    ├── InputError          the caller can fix it: a document, a name, an option        exit 2
    ├── HostError           engine, network, disk, a missing program                    exit 5
    ├── VerificationError   evidence contradicts: do not trust this release             exit 1
    │   └── CulpritError    the same, and it is known whose evidence it is              exit 1
    ├── NotEnoughError      evidence is missing: wait for it, or ask for it             exit 3
    └── NoRootError         no trust root is pinned, so nothing can be decided          exit 4

Every error carries data, not only words: `where` is the document and the path
inside it (``relsign.toml: source[0].sha256``), `expected` and `got` are what
was compared, `hint` says what to do next.  The command line prints all of them:

    >>> error = InputError("wrong digest", where="relsign.toml: source[0].sha256",
    ...                    expected="aa11", got="bb22", hint="run `relsign fetch`")
    >>> str(error)
    'relsign.toml: source[0].sha256: wrong digest (expected aa11, got bb22)'
"""

from __future__ import annotations


class RelsignError(Exception):
    """Base of everything this package raises on purpose."""

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        expected: str = "",
        got: str = "",
        hint: str = "",
    ) -> None:
        """Keep the parts of the message; lower case, no full stop, literals last."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.hint = hint

    def __str__(self) -> str:
        """Return ``where: what (expected E, got G)``, without the hint."""
        place = f"{self.where}: " if self.where else ""
        compared = [
            f"{word} {value}"
            for word, value in (("expected", self.expected), ("got", self.got))
            if value
        ]
        return f"{place}{self.what}" + (f" ({', '.join(compared)})" if compared else "")


class InputError(RelsignError):
    """The caller can fix it: a malformed document, a bad name, a wrong option."""

    exit_code = 2


class HostError(RelsignError):
    """The machine is at fault: container engine, network, disk, missing program."""

    exit_code = 5


class VerificationError(RelsignError):
    """Evidence contradicts: a signature, a digest or a rule does not hold."""

    exit_code = 1


class CulpritError(VerificationError):
    """Evidence contradicts, and the arithmetic shows whose it is."""

    def __init__(
        self,
        what: str,
        *,
        culprits: tuple[str, ...],
        where: str = "",
        expected: str = "",
        hint: str = "",
    ) -> None:
        """Keep who lied or erred, as identifiers; they are what `got` shows."""
        super().__init__(what, where=where, expected=expected, got=", ".join(culprits), hint=hint)
        self.culprits = culprits


class NotEnoughError(RelsignError):
    """Evidence is missing: too few signers, builders or owners so far."""

    exit_code = 3


class NoRootError(RelsignError):
    """No trust root is pinned for what was asked."""

    exit_code = 4
