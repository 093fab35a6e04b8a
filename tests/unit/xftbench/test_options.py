import click
import pytest

from xftbench.cli import cli
from xftbench.commands.options import parse_models, spread
from xftbench.errors import UsageProblem


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--models", "a=x", "b=y", "--n", "2"], ["--models", "a=x", "--models", "b=y", "--n", "2"]),
        (["--models", "a=x", "--json", "--models", "b=y"], ["--models", "a=x", "--json", "--models", "b=y"]),
        (["--n", "2", "--models", "a=x"], ["--n", "2", "--models", "a=x"]),
        (["--models=a=x", "--json"], ["--models=a=x", "--json"]),
        (["--models"], ["--models"]),
        (["--json", "stray"], ["--json", "stray"]),
    ],
)
def test_an_option_takes_all_words_up_to_the_next_one(given: list[str], expected: list[str]) -> None:
    assert spread(given, "--models") == expected


def test_a_name_stands_before_the_first_equals_sign() -> None:
    assert parse_models(["a=dir/x=1", "smollm2", "org/b"]) == [
        ("a", "dir/x=1"),
        ("smollm2", "smollm2"),
        ("b", "org/b"),
    ]


@pytest.mark.parametrize("words", [["=x"], ["a="], ["../a=x"], ["a b=x"], ["a=x", "a=y"], [""]])
def test_names_that_make_no_directory_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageProblem):
        parse_models(words)


def test_every_data_dir_is_also_taken_from_the_environment() -> None:
    found: list[tuple[str, object]] = []
    waiting: list[tuple[str, click.Command]] = [("xftbench", cli)]
    while waiting:
        path, command = waiting.pop()
        found += [(path, option.envvar) for option in command.params if "--data-dir" in option.opts]
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                waiting.append((f"{path} {name}", below))
    assert len(found) >= 5
    assert {where for where, variable in found if variable != "XFTBENCH_DATA_DIR"} == set()
