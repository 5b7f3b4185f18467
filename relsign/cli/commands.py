"""The commands as click sees them: imported when they are named, listed without it."""

from __future__ import annotations

from importlib import import_module

import click

from relsign import __version__
from relsign.cli.main import COMMANDS

SUMMARIES = {
    "init": "Write the files a project needs.",
    "key": "Make keys and fill the roster.",
    "lock": "Resolve an environment into builder.lock.",
    "fetch": "Fetch and verify sources and environments.",
    "inputs": "Keep all inputs of a project's builds in one file.",
    "build": "Build in a locked container; sign the links.",
    "check": "Build again with everything varied; name what shows.",
    "collect": "Bring other people's builds and signatures here.",
    "status": "Who built, who signed, what is next.",
    "root": "Make, change, sign and examine the trust root.",
    "policy": "Compile the owners' rules and sign them.",
    "sign": "Look at a release, then sign it.",
    "publish": "Pass the gate and publish, whole or not at all.",
    "trust": "Pin projects' roots: who must agree before you believe a release.",
    "get": "Download a pinned project's release, verified before it has a name.",
    "verify": "Check a downloaded file: VERIFIED, REFUSED or NOT ENOUGH.",
    "verify-dsse": "Check a DSSE envelope (in-toto, SLSA) by public keys you name.",
    "ceremony": "Make one key of many people, and look after it.",
    "relay": "Carry ceremony messages between members; hold no secret.",
    "rehearse": "Practise a whole release, losses and attacks included.",
    "diff": "Why two artifacts differ: cause, place and fix.",
    "store": "What this machine keeps of inputs and environments.",
    "doctor": "Engine, programs, disk, clock and keys on one screen.",
}
"""The commands' own short helps, so that `relsign --help` need not load them all."""


class Commands(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a release's life."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, as click does, from what stands in `SUMMARIES`."""
        rows = [(name, SUMMARIES.get(name) or self._summary(ctx, name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str() if command is not None else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="relsign %(version)s")
def main() -> None:
    """Build software that strangers can rebuild, sign it together, verify it anywhere.

    A release travels one way: lock, fetch, build, root, policy, sign, publish.  People
    who download it pin a root once with `relsign trust add`; then `relsign get` and
    `relsign verify` are all they need.

    Exit codes: 0 verified or done, 1 refused, 2 usage or bad input, 3 not enough
    evidence yet, 4 no trust root pinned, 5 this machine (engine, disk, network).
    """


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code; KeyboardInterrupt if the person gave up."""
    # Not click's own `main`: it ends a command whose reader went away with 1, our REFUSED.
    try:
        with main.make_context("relsign", arguments) as context:
            result = main.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0
