"""Step 5, checks: who of the agreeing builders also ran the recipe's checks on the result.

Where the layout has the step `check`, equal bytes are not enough: somebody must have
looked at them.  A builder counts with both links only.  Otherwise a release could stand
on builders of whom none did both: on checks by people who had built something else, or
who took files from elsewhere that nobody had checked where they were built.

    build = count_checked(build, check, threshold, organisations)

What binds a check: its materials hold every product of the build, and so each
fingerprint, which names the recipe with the checks' own text.  A check of other files, or
of the same files by another recipe, does not agree with the rest.
"""

from __future__ import annotations

from msgspec.structs import replace

from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.errors import NotEnoughError, VerificationError
from relsign.verify.agreement import Agreement, is_quorum
from relsign.verify.rules import StepArtifacts

HINT = (
    "`relsign build` runs the checks and signs their link: ask the builders named for "
    "their whole folder, or build it yourself"
)


def count_checked(
    build: Agreement, check: Agreement, threshold: int, organisations: int
) -> Agreement:
    """Return the agreement on the build with only the builders who checked the result.

    (1) what was checked is the whole build, byte for byte; (2) of the builders who agree
    on the build, those whose check is among the agreeing ones are `threshold` operators
    of so many organisations.  Raises VerificationError for (1), NotEnoughError for (2).
    """
    require_checked(build.says, check.says)  # (1)
    checked = {report.builder.name for report in check.reports}
    both = tuple(report for report in build.reports if report.builder.name in checked)
    builders = distinct_operators(tuple(report.builder for report in both))
    absent = [r.builder.name for r in build.reports if r.builder.name not in checked]
    if not is_quorum(builders, threshold, organisations):  # (2)
        raise NotEnoughError(
            f"{len(builders)} agreeing builders also checked what they built "
            f"(need {threshold} from {organisations} organisations)",
            got=f"no check that agrees: {', '.join(absent)}" if absent else "",
            hint=HINT,
        )
    return replace(
        build,
        builders=builders,
        organisations=distinct_organisations(builders),
        reports=both,
        notes=(*build.notes, *check.notes, *(f"{name}: built it, and shows no check of it that "
               "agrees: does not count" for name in absent)),
    )  # fmt: skip


def require_checked(build: StepArtifacts, check: StepArtifacts, link: str = "") -> None:
    """Raise VerificationError unless `check`, said by `link`, looked at all `build` gave out."""
    for name, digest in build.products.items():
        if check.materials.get(name) != digest:
            raise VerificationError(
                "the checks ran on other files than were built",
                where=f"{link}: {name}" if link else name,
                expected=digest,
                got=check.materials.get(name, "nothing"),
                hint="run `relsign build` again: it checks what it has built",
            )
