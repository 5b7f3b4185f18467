"""What is said of a root in the making: its words, what changes, who has signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relsign.cli.options import show_path
from relsign.cli.talk import talk

if TYPE_CHECKING:
    from relsign.formats.root import Root, RootFile
    from relsign.formats.roster import Member
    from relsign.sign.rules.root import StagedRoot
    from relsign.system.workspace import Workspace


def show_added(member: Member, *, there: bool) -> None:
    """Say that a member is in the roster, since now or since before."""
    if there:
        talk(f"{member.name} is there already")
        return
    talk(f"added {member.name}: {', '.join(member.roles)} of {member.organisation}")


def show_staged(workspace: Workspace, staged: StagedRoot) -> None:
    """Say what became of the root, its words, and who must sign it."""
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words
    from relsign.sign.rules.root import present_root

    version = f"version {staged.root.version}"
    talk(f"{staged.change:<10} {show_path(workspace.root_file)}  ({version})")
    talk(f"root words {digest_words(sha256_hex(staged.root.to_bytes()))}")
    if staged.dropped:
        talk(f"{', '.join(staged.dropped)} must sign again: the root they signed is replaced")
    file = present_root(workspace)
    if file is not None:
        show_signatures(workspace, file)


def show_signatures(workspace: Workspace, file: RootFile) -> None:
    """Say who signed a root, and who must still sign it."""
    from relsign.sign.rules.root import missing_owners, owners_who_may_sign, signers_of

    names = signers_of(file, owners_who_may_sign(workspace, file))
    missing = missing_owners(workspace, file)
    talk(f"signed by {', '.join(names) or 'nobody yet'}")
    if missing:
        talk(f"Next: {missing}, with `relsign root sign --as NAME`")
    elif file.signed.version == 1:
        talk("Next: `relsign root analyse` says what it withstands; then `relsign policy compile`")
    else:
        signs = any("publisher" in member.roles for member in file.signed.members)
        who = " --as PUBLISHER" if signs else ""
        talk(f"Next: `relsign publish --to DIR{who} --root-only`, or `relsign policy compile`")


def show_change(workspace: Workspace, file: RootFile) -> None:
    """Show an owner what the root in the making changes, before it is signed."""
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words
    from relsign.formats.root import parse_root
    from relsign.publish.roots import describe_change, root_rules
    from relsign.sign.rules.root import earlier_roots

    earlier = earlier_roots(workspace)
    before: Root | None = parse_root(earlier[-1]).signed if earlier else None
    signed = file.signed
    talk(f"Trust root of {signed.project}, until {signed.expires:%Y-%m-%d}")
    talk(f"  words {digest_words(sha256_hex(signed.to_bytes()))}")
    for line in describe_change(before, signed).lines:
        talk(f"  {line}")
    if before is None:
        for line in root_rules(signed):
            talk(f"  {line}")
        for member in signed.members:
            roles = ", ".join(member.roles)
            talk(f"  {member.name}: {roles}; {member.operator} of {member.organisation}")
