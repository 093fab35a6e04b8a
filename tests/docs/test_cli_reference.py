"""docs/*cli.md hold every command's help as it is; this file, run as a script, writes them."""

import difflib
from pathlib import Path

import click
import pytest

import xft.cli
import xftbench.cli

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"cli.md": ("xftbench", xftbench.cli.cli), "xft-cli.md": ("xft", xft.cli.cli)}


def render(name: str, cli: click.Group) -> str:
    parts = [
        "# Command line\n\nWritten from the commands' help by `python tests/docs/test_cli_reference.py`.\n"
    ]
    parts += help_of(name, cli, None)
    return "\n".join(parts)


def help_of(name: str, command: click.Command, parent: click.Context | None) -> list[str]:
    settings = {"terminal_width": 100, "max_content_width": 100} | command.context_settings
    context = click.Context(command, info_name=name, parent=parent, **settings)
    parts = [f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            parts += help_of(child, found, context)
    return parts


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_what_the_commands_say(page: str) -> None:
    written, rendered = (DOCS / page).read_text().splitlines(), render(*PAGES[page]).splitlines()
    changed = "\n".join(difflib.unified_diff(written, rendered, "written", "rendered", lineterm="", n=0))
    assert not changed, f"write it again: python {__file__}"


if __name__ == "__main__":
    for file, (program, group) in PAGES.items():
        (DOCS / file).write_text(render(program, group))
