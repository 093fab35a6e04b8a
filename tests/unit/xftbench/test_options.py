from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from xftbench.benchmarks.suggest import near_task, spelled
from xftbench.cli import cli
from xftbench.commands.options import data_dir_option, parse_ids, parse_models, spread
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
    (tmp_path / "bom.txt").write_text("\ufeffHumanEval/0\n", encoding="utf-8")
    assert parse_ids(str(tmp_path / "bom.txt")) == ["HumanEval/0"]
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


def commands() -> list[tuple[str, click.Command]]:
    """Every command and group, with the words that call it."""
    found: list[tuple[str, click.Command]] = [("xftbench", cli)]
    for path, command in found:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                found.append((f"{path} {name}", below))
    return found


def test_every_data_dir_is_also_taken_from_the_environment() -> None:
    found = [
        (path, option.envvar)
        for path, command in commands()
        for option in command.params
        if "--data-dir" in option.opts
    ]
    assert len(found) >= 5
    assert {where for where, variable in found if variable != "XFTBENCH_DATA_DIR"} == set()


def test_no_file_or_folder_has_an_empty_name() -> None:
    found = [
        (path, option)
        for path, command in commands()
        for option in command.params
        if isinstance(option.type, click.Path)
    ]
    assert len(found) >= 25
    for path, option in found:
        with pytest.raises(click.BadParameter, match="empty"):
            pytest.fail(f"{path} {option.opts[0]}: {option.type.convert('', option, None)!r}")


@pytest.mark.parametrize(
    ("arguments", "variable", "named"),
    [
        (["--data-dir", "nowhere"], None, "--data-dir: there is no folder 'nowhere'"),
        ([], "nowhere", "XFTBENCH_DATA_DIR: there is no folder 'nowhere'"),
        (["--data-dir", "."], "nowhere", None),
        ([], "", None),
    ],
)
def test_a_data_dir_that_is_not_there_is_refused(
    arguments: list[str], variable: str | None, named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command
    @data_dir_option
    def command(data_dir: Path | None) -> None:
        pass

    if variable is None:
        monkeypatch.delenv("XFTBENCH_DATA_DIR", raising=False)
    else:
        monkeypatch.setenv("XFTBENCH_DATA_DIR", variable)
    error = CliRunner().invoke(command, arguments).exception
    assert error is None if named is None else (isinstance(error, UsageProblem) and error.message == named)


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("0", ["HumanEval/10", "HumanEval/0"], "HumanEval/0"),
        ("0", ["js/HumanEval_10_b", "js/HumanEval_0_a"], "js/HumanEval_0_a"),
        ("HumanEval/0", ["HumanEval_10_b", "HumanEval_0_a"], "HumanEval_0_a"),
        ("humaneval/7", ["HumanEval/6", "HumanEval/7"], "HumanEval/7"),
        ("164", ["HumanEval/0"], ""),
        ("Mbpp/164", ["Mbpp/64", "Mbpp/16"], ""),
        ("Mbp/64", ["Mbpp/64", "Mbpp/16"], "Mbpp/64"),
    ],
)
def test_the_problem_that_was_meant(word: str, known: list[str], meant: str) -> None:
    assert near_task(word, known) == meant
    assert near_task(word, set(known)) == meant


@pytest.mark.parametrize(
    ("word", "known", "named"),
    [
        ("1", ["HumanEval/1", "HumanEval/11"], "HumanEval/1"),
        ("DS-1000/17", ["1", "17"], "17"),
        ("ds1000/17", ["1", "17"], "17"),
        ("53", ["js/53", "cpp/53"], "53"),  # which one is not said
        ("HumanEval/2", ["HumanEval/1"], "HumanEval/2"),
    ],
)
def test_a_problem_may_be_named_by_its_number(word: str, known: list[str], named: str) -> None:
    assert spelled(word, known) == named
