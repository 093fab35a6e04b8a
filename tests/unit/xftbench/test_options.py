from pathlib import Path

import click
import pytest

from xftbench.cli import cli
from xftbench.commands.options import parse_ids, parse_models, spread
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


def test_ids_stand_in_a_file_or_in_the_word_itself(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("# two\nHumanEval/0\n\n HumanEval/7 \n")
    assert parse_ids(str(tmp_path / "ids.txt")) == ["HumanEval/0", "HumanEval/7"]
    assert parse_ids("js/HumanEval_0_a, 7") == ["js/HumanEval_0_a", "7"]
    assert parse_ids(None) == []


@pytest.mark.parametrize("separator", [",", "/,"])
def test_a_list_of_ids_may_be_longer_than_a_files_name_or_path(separator: str) -> None:
    ids = [f"HumanEval_{number}" for number in range(999)]
    assert [word.rstrip("/") for word in parse_ids(separator.join(ids))] == ids


@pytest.mark.parametrize(
    "word",
    ["nosuchfile.txt", "ids.jsonl", "/nosuchfile", "../ids", "./ids", "some/folder/ids", "ids/mine.json"],
)
def test_ids_in_a_file_that_is_not_there_are_said_to_be_that(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageProblem, match="there is no file"):
        parse_ids(word)


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
