"""docs/cli.md holds every command's help as it is; ``python tests/docs/test_cli_reference.py`` writes it."""

from pathlib import Path

import click

from xftbench.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def render() -> str:
    parts = [
        "# Command line\n\nWritten from the commands' help by `python tests/docs/test_cli_reference.py`.\n"
    ]
    with click.Context(cli, info_name="xftbench", terminal_width=100, max_content_width=100) as group:
        parts.append(f"## xftbench\n\n```text\n{cli.get_help(group)}\n```\n")
        for name in cli.list_commands(group):
            command = cli.get_command(group, name)
            assert command is not None
            context = click.Context(
                command, info_name=name, parent=group, terminal_width=100, max_content_width=100
            )
            parts.append(f"## xftbench {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == render(), f"write it again: python {__file__}"


if __name__ == "__main__":
    PAGE.write_text(render())
