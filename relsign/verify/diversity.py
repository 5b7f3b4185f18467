"""Step 5, diversity: one fault of one engine or system must not explain an agreement.

Builders say in their signed links what they built on.  That is a claim, as honest as
the builder: it guards against accidents and monocultures, not against liars, whom the
quorum guards against.
"""

from __future__ import annotations

from relsign.errors import NotEnoughError
from relsign.formats.policy import Diversity
from relsign.verify.agreement import Agreement, Report

_KINDS = (("engine", "engines"), ("platform", "platforms"), ("environment", "environments"))


def require_diversity(agreement: Agreement, diversity: Diversity) -> str:
    """Return how unlike the agreeing builders are, where that was asked, in words.

    Counts the builders of the quorum, one of each operator.  One that says nothing of
    its machine adds nothing.  Raises NotEnoughError naming what there is.
    """
    said: list[str] = []
    for field, plural in _KINDS:
        wanted: int = getattr(diversity, plural)
        found = {value for report in agreement.counted if (value := _value(report, field))}
        # Whoever built used some engine: one is never too few, even if nobody names it.
        if len(found) < wanted > 1:
            silent = [r.builder.name for r in agreement.counted if not _value(r, field)]
            unknown = f"; {', '.join(silent)} did not say" if silent else ""
            raise NotEnoughError(
                f"the agreeing builders used {len(found)} {plural} (need {wanted})",
                got=(", ".join(sorted(found)) or "none known") + unknown,
                hint=f"wait for a builder that uses another {field}",
            )
        if wanted > 1:
            said.append(f"{len(found)} {plural}")
    return ", ".join(said)


def _value(report: Report, field: str) -> str:
    host = report.link.byproducts.host
    return "" if host is None else getattr(host, field)
