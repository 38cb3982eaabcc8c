"""`borne`: the program. Each command is loaded when it is called, so that `borne --help` is instant."""

from __future__ import annotations

import importlib

import click

from borne import __version__

# name -> module:attribute, one line for `borne --help`
COMMANDS = {
    "serve": ("borne.serve:serve", "Run Borne: the portal and the OCPP gateway."),
    "demo": ("borne.demo:demo", "Run Borne with three organisations and simulated chargers."),
    "admin": ("borne.admin:admin", "Make organisations, people and chargers."),
    "export": ("borne.export:export", "Write what Borne knows into files."),
    "simulate": ("borne.sim.command:simulate", "Run simulated chargers."),
}


class Commands(click.Group):
    """Finds commands in COMMANDS."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands)
@click.version_option(__version__, prog_name="borne")
def main() -> None:
    """Borne, the open charger cloud.

    Settings come from a TOML file (--config, or BORNE_CONFIG) and from the environment: BORNE_DATABASE_URL, BORNE_PORTAL_PORT,
    BORNE_GATEWAY_PUBLIC_URL and so on. See the README.
    """
