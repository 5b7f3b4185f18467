"""The agreement matrix: builders across, products down, equal digests alike."""

from __future__ import annotations

from dataclasses import dataclass

from relsign.verify.agreement import Reports

SYMBOLS = "█▓▒░◆◇●○"
MISSING = "X"


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One product and a symbol per builder; the same symbol means the same bytes."""

    product: str
    cells: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Say whether all builders who reported have the same bytes."""
        return len(set(self.cells)) == 1


@dataclass(frozen=True, slots=True)
class Matrix:
    """Builders in report order, and one row per product."""

    builders: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def agreement_matrix(reports: Reports) -> Matrix:
    """Return the matrix of the `build` step."""
    builds = sorted(
        (report for report in reports.standing if report.link.name == "build"),
        key=lambda report: report.builder.name,
    )
    products = [report.says.products for report in builds]
    names = sorted({name for each in products for name in each})
    return Matrix(
        builders=tuple(report.builder.name for report in builds),
        rows=tuple(
            MatrixRow(name, _cells([each.get(name) for each in products])) for name in names
        ),
    )


def _cells(digests: list[str | None]) -> tuple[str, ...]:
    """Give the most common digest the first symbol, then by order of appearance."""
    counted = sorted(
        {digest for digest in digests if digest is not None},
        key=lambda digest: (-digests.count(digest), digests.index(digest)),
    )
    symbol = {digest: SYMBOLS[min(place, len(SYMBOLS) - 1)] for place, digest in enumerate(counted)}
    return tuple(MISSING if digest is None else symbol[digest] for digest in digests)
