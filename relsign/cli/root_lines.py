"""What a root says, in lines for people and as a document for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relsign.cli.trust_lines import release_key_asked, shared_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relsign.formats.policy import Revocation
    from relsign.formats.root import Root, RootFile


def root_lines(file: RootFile, earlier: tuple[Root, ...]) -> Iterator[str]:
    """Yield what a root says, who signed it, and what each version changed."""
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words

    root, digest = file.signed, sha256_hex(file.signed.to_bytes())
    yield f"Trust root of {root.project}, version {root.version}, until {root.expires:%Y-%m-%d}"
    yield f"  words   {digest_words(digest)}"
    yield f"  sha256  {digest}"
    yield from _people(root)
    yield from _taken_back(root)
    for line in _signing(file, earlier[-1] if earlier else None):
        yield f"  {line}"
    for version, lines in _history(root, earlier):
        yield f"Version {version}"
        for line in lines:
            yield f"  {line}"


def root_document(file: RootFile, earlier: tuple[Root, ...]) -> dict[str, object]:
    """Return the same for scripts."""
    import msgspec

    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words

    root, digest = file.signed, sha256_hex(file.signed.to_bytes())
    policy = msgspec.to_builtins(root.policy)
    keyids = _keyids(root)
    for member in policy["members"]:
        member["keyid"] = keyids[member["name"]]
    signed, missing = _signed(file, earlier[-1] if earlier else None)
    return {
        "sha256": digest,
        "words": digest_words(digest),
        "version": root.version,
        "expires": root.expires,
        **policy,
        "signed_by": signed,
        "not_signed_by": missing,
        "still_needed": _signing(file, earlier[-1] if earlier else None)[1:],
        "versions": [
            {"version": version, "changes": lines} for version, lines in _history(root, earlier)
        ],
    }


def _people(root: Root) -> Iterator[str]:
    keyids, thresholds = _keyids(root), root.thresholds
    needs = {
        "owner": f" (need {thresholds.owners})",
        "signer": f" (need {thresholds.signers})",
        "builder": f" (need {thresholds.builders}, of {thresholds.organisations} organisations)",
    }
    for role in ("owner", "signer", "release", "builder", "publisher", "log", "witness"):
        members = [member for member in root.members if role in member.roles]
        if members and role == "release":
            yield f"release key ({release_key_asked(root)})"
        elif members:
            yield f"{role}s{needs.get(role, '')}"
        for member in members:
            place = f"{member.operator} of {member.organisation}"
            line = f"  {member.name:<20} {place:<30} {keyids[member.name][:16]}"
            yield f"{line}  {shared_by(member)}".rstrip()


def _keyids(root: Root) -> dict[str, str]:
    from relsign.verify.root import check_root

    return {party.name: party.keyid for party in check_root(root)}


def _taken_back(root: Root) -> Iterator[str]:
    for revoked in root.policy.revoked:
        yield f"revoked release  {_release(revoked)}: {revoked.reason}{_use(revoked.replacement)}"
    for key in root.policy.revoked_keys:
        yield f"revoked key      {key.name} {key.keyid[:16]}: {key.reason}{_use(key.replacement)}"
    for vouched in root.policy.vouched:
        yield (
            f"vouched          {vouched.version}, statement {vouched.statement_sha256[:16]}, "
            f"made under root {vouched.root_sha256[:16]}"
        )


def _release(revoked: Revocation) -> str:
    if revoked.version is not None:
        return revoked.version
    return f"statement {(revoked.statement_sha256 or '')[:16]}"


def _use(replacement: str | None) -> str:
    return f"; {replacement} instead" if replacement else ""


def _signed(file: RootFile, before: Root | None) -> tuple[list[str], list[str]]:
    """Return who signed a root, and the owners who did not, of it and of the one before."""
    from relsign.crypto.keys import parties_of
    from relsign.sign.rules.root import signers_of
    from relsign.verify.root import check_root

    versions = (file.signed,) if before is None else (before, file.signed)
    owners = {p.keyid: p for root in versions for p in parties_of(check_root(root), "owner")}
    signed = signers_of(file, tuple(owners.values()))
    return sorted(signed), sorted(p.name for p in owners.values() if p.name not in signed)


def _signing(file: RootFile, before: Root | None) -> list[str]:
    """Say who signed a root, then for each version how many of its owners are missing."""
    from relsign.sign.rules.root import signers_of
    from relsign.verify.root import check_root

    lines = [f"signed by {', '.join(_signed(file, before)[0]) or 'nobody yet'}"]
    for root in (file.signed,) if before is None else (before, file.signed):
        owners = tuple(party for party in check_root(root) if "owner" in party.roles)
        signed = signers_of(file, owners)
        lacking = root.thresholds.owners - len(signed)
        if lacking > 0:
            others = ", ".join(party.name for party in owners if party.name not in signed)
            people = "1 more owner" if lacking == 1 else f"{lacking} more owners"
            lines.append(f"missing: {people} of version {root.version} ({others})")
    return lines


def _history(root: Root, earlier: tuple[Root, ...]) -> list[tuple[int, tuple[str, ...]]]:
    from relsign.publish.roots import describe_change

    chain = (*earlier, root)
    said: list[tuple[int, tuple[str, ...]]] = []
    for number, version in enumerate(chain):
        before = chain[number - 1] if number else None
        change = describe_change(before, version)
        said.append((version.version, (f"sha256 {change.sha256}", *change.lines[1:])))
    return said
