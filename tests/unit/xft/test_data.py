"""Where training rows come from: files of every kind, the hub's format, Python's own library."""

import ast
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from xft_pico import fails, run

from xft.data import read_rows, write_rows
from xft.errors import DataError
from xft.stdlib_pairs import pairs

NO_DATASETS = "datasets is not installed: pip install 'xftbench[train]'"
RECORDS = [{"instruction": f"i{n}", "response": f"r{n}"} for n in range(3)]


def test_files_of_every_kind_hold_the_same_rows(tmp_path: Path) -> None:
    import pandas as pd

    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.json").write_text(json.dumps(RECORDS))
    pd.DataFrame(RECORDS).to_parquet(tmp_path / "d.parquet")
    read = [read_rows(path) for path in sorted(tmp_path.iterdir())]
    assert len(read) == 4
    assert all(rows == read[0] for rows in read)
    write_rows(tmp_path / "e.jsonl", read[0])
    assert read_rows(str(tmp_path / "e.jsonl")) == read[0]


def test_sharegpt_turns_are_read(tmp_path: Path) -> None:
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    (tmp_path / "d.jsonl").write_text(json.dumps({"conversations": turns}) + "\n")
    (row,) = read_rows(tmp_path / "d.jsonl")
    assert (row.instruction, row.response) == ("s\n\nq", "a")


@pytest.mark.parametrize("ref", ["nowhere.jsonl", "a/b/c/d.jsonl", "data/"])
def test_a_missing_file_says_what_data_can_be(ref: str) -> None:
    with pytest.raises(DataError, match="no file") as caught:
        read_rows(ref)
    assert "stdlib" in str(caught.value)


def test_a_hub_data_set_is_read_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason=NO_DATASETS)
    asked: list[tuple[Any, ...]] = []

    def load_dataset(name: str, *, split: str, revision: str | None) -> Any:
        asked.append((name, split, revision))
        return datasets.Dataset.from_list(RECORDS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert [row.response for row in read_rows("org/name:test@abc")] == ["r0", "r1", "r2"]
    assert asked == [("org/name", "test", "abc")]


def test_a_hub_that_does_not_answer_is_an_error_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason=NO_DATASETS)

    def load_dataset(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match="there is no file org/name, and the hub does not give out") as caught:
        read_rows("org/name")
    assert "no route" in caught.value.message


def test_pythons_own_library_gives_thousands_of_pairs_in_one_order() -> None:
    found, left_out = pairs()
    assert len(found) > 2000
    assert found == pairs()[0]
    assert {"no docstring", "a copy of another", "needs other names of its module"} <= set(left_out)
    for pair in found:
        code = pair.response.removeprefix("```python\n").removesuffix("\n```")
        (node,) = ast.parse(code).body
        head = pair.instruction.split("```python\n")[1].removesuffix("\n```")
        assert code.startswith(head), "the answer goes on where the question ends"
        function = node.body[0] if isinstance(node, ast.ClassDef) else node
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        assert ast.get_docstring(function)
    assert len({pair.response for pair in found}) == len(found)
    assert len({pair.origin.split(":")[0] for pair in found}) > 100, "of many modules"


def test_a_library_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sources"):
        pairs(tmp_path)


def test_only_lessons_that_stand_alone_are_kept(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import re\n\n\n"
        'def good(x):\n    """Return twice the value of x."""\n    y = 2 * x\n    return y\n\n\n'
        'def other(x):\n    """Return what a helper makes of it."""\n    y = helper(x)\n    return y\n\n\n'
        'class A(Base):\n    def m(self):\n        """Return the value of this object."""\n'
        "        value = self.x\n        return value\n"
    )
    found, left_out = pairs(tmp_path)
    assert [pair.origin for pair in found] == ["m.py:good", "m.py:A.m"]
    assert found[1].response.startswith("```python\nclass A(Base):\n    def m(self):")
    assert left_out == {"needs other names of its module": 1}


def test_the_command_writes_and_shows_them(tmp_path: Path, tokenizer: Any) -> None:
    out = run("data", "write", "stdlib", tmp_path / "s.jsonl")
    assert f"{len(read_rows(tmp_path / 's.jsonl'))} rows" in out
    tokenizer.save_pretrained(tmp_path / "t")
    (tmp_path / "d.jsonl").write_text('{"instruction": "add two", "response": "return a"}\n')
    shown = run("data", "show", tmp_path / "d.jsonl", "--tokenizer", tmp_path / "t", "--style", "raw")
    assert "add two⟦return a </s>⟧" in shown
    assert "1 examples" in shown
    assert fails("data", "write", "nowhere", tmp_path / "x").exit_code == 7
