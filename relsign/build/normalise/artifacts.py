"""Normalising what a target's recipe says, after collecting and before anything is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relsign.build.collect import BuiltFile
from relsign.build.normalise.apply import normalise_file
from relsign.errors import InputError
from relsign.formats.names import Normaliser
from relsign.formats.recipe import Target
from relsign.system.files import hash_file


def normalise_artifacts(target: Target, files: Sequence[BuiltFile]) -> tuple[BuiltFile, ...]:
    """Return the files, those the recipe names rewritten, with their new digest and size.

    Raises InputError naming the artifact, and HostError; none of the files is left then.
    """
    names = {artifact.name: artifact.normalise for artifact in target.artifact}
    epoch = None if target.source_date_epoch == "unset" else target.source_date_epoch
    try:
        return tuple(_normalised(target, file, names.get(file.name, ()), epoch) for file in files)
    except BaseException:
        for file in files:
            file.path.unlink(missing_ok=True)
        raise


def _normalised(
    target: Target, file: BuiltFile, names: Sequence[Normaliser], epoch: int | None
) -> BuiltFile:
    if not names:
        return file
    try:
        normalise_file(file.path, names, epoch)
    except InputError as error:
        where = f"relsign.toml: target {target.name}: {error.where}"
        raise InputError(
            error.what, where=where, expected=error.expected, got=error.got, hint=error.hint
        ) from error
    hashed = hash_file(file.path)
    return replace(file, sha256=hashed.sha256, size=hashed.size)
