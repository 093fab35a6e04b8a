"""Problems that training data gives away are found, and what can't be known is never called clean."""

import json
from pathlib import Path

import msgspec
import pytest
from factories import a_spec, an_environment

from xftbench.errors import DataFileError
from xftbench.records import FunctionProblem, Verdict
from xftbench.report.contamination import Unknown, frame, training_data
from xftbench.report.runs import Run, Table
from xftbench.scoring.aggregate import aggregate
from xftbench.store.model_facts import ModelFacts, StageCost
from xftbench.store.run_dir import RunDir, Timings

PROBLEMS = [
    FunctionProblem(
        task_id=f"T/{index}",
        prompt=f'def task_{index}(values):\n    """{words}"""\n',
        canonical_solution="".join(f"    total_{n} = sum(values) * {n + index}\n" for n in range(6))
        + f"    return total_{index}\n",
        entry_point=f"task_{index}",
        test="",
    )
    for index, words in enumerate(
        (
            "Return the sum of all values that stand at an even position in the given list of integers.",
            "Return how many different words occur in a sentence when the case of letters is not looked at.",
            "Return the longest run of equal neighbours in a given list and how often it was repeated.",
        )
    )
]
LINE = (StageCost(stage="sft", tokens=1, flops=1.0, device_s=1.0, device="cpu", data="DATA"),)


def a_table(tmp_path: Path, facts: ModelFacts | None) -> Table:
    """A model that passes problem 0 alone."""
    environment = msgspec.structs.replace(an_environment("m"), model=facts)
    with RunDir(tmp_path / "run", a_spec(), environment) as run_dir:
        for index, problem in enumerate(PROBLEMS):
            run_dir.add_verdict(
                Verdict(
                    task_id=problem.task_id, sample_index=0, rule="append", solution="", program_sha256="",
                    verdict="failed" if index else "passed",
                )
            )  # fmt: skip
        scores = aggregate(PROBLEMS, run_dir.verdicts.values(), n=1)
        timings = Timings(n_tokens=0, generation_s=0.0, total_s=0.0)
        scores_file = run_dir.finish(scores, timings, [p.task_id for p in PROBLEMS], "2026-01-01")
    from xftbench.store.run_dir import read_spec

    run = Run(tmp_path / "run", read_spec(tmp_path / "run"), scores_file)
    return Table("g", [run], {problem.task_id: problem for problem in PROBLEMS})


def facts(data: str, **changes: object) -> ModelFacts:
    line = tuple(msgspec.structs.replace(step, data=data) for step in LINE)
    values = {"n_parameters": 1, "n_active_parameters": 1, "stage": "sft", "line": line}
    return ModelFacts(**(values | changes))  # type: ignore[arg-type]


def write_data(path: Path, *rows: tuple[str, str]) -> str:
    path.write_text("".join(json.dumps({"instruction": a, "response": b}) + "\n" for a, b in rows))
    return str(path)


def strata(table: Table, *named: str) -> dict[str, tuple[float, float]]:
    rows = frame([table], named).to_dict("records")
    return {row["stratum"]: (row["n_problems"], row["pass@1"]) for row in rows}


def test_a_copied_description_is_an_overlap(tmp_path: Path) -> None:
    words = "Return the sum of all values that stand at an even position in the given list of integers."
    data = write_data(tmp_path / "d.jsonl", (f"Write this: {words}", "pass"), ("Sort a list", "sorted(x)"))
    table = a_table(tmp_path, facts(data))
    assert strata(table) == {"overlapping": (1, 1.0), "clean": (2, 0.0)}


def test_a_renamed_solution_is_an_overlap(tmp_path: Path) -> None:
    renamed = PROBLEMS[1].canonical_solution.replace("total", "acc").replace("values", "xs")
    data = write_data(tmp_path / "d.jsonl", ("Help me", f"```python\ndef f(xs):\n{renamed}```"))
    found = frame([a_table(tmp_path, facts(data))])
    assert dict(found.groupby("stratum")["n_problems"].first()) == {"clean": 2, "overlapping": 1}


def test_data_that_the_user_names_stands_for_the_lineages(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.jsonl", ("Sort a list", "sorted(x)"))
    assert strata(a_table(tmp_path, None), data) == {"clean": (3, pytest.approx(1 / 3))}


def test_data_that_the_user_names_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"--training-data /nowhere/d\.jsonl: "):
        frame([a_table(tmp_path, None)], ["/nowhere/d.jsonl"])


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (None, "no lineage"),
        (facts("x", unknown="its parent is gone"), "its parent is gone"),
        (facts(""), "does not name the training data"),
        (facts("/nowhere/d.jsonl"), "can't be read"),
        (facts("x", line=()), "nothing was tuned"),
    ],
)
def test_what_can_not_be_compared_is_unknown(tmp_path: Path, known: ModelFacts | None, reason: str) -> None:
    (row,) = frame([a_table(tmp_path, known)]).to_dict("records")
    assert row["stratum"] == "unknown"
    assert reason in row["reason"]


def test_all_stages_of_a_line_count(tmp_path: Path) -> None:
    line = tuple(
        StageCost(stage=stage, data=data)
        for stage, data in (("upcycle", ""), ("train", "a"), ("mixing", "b"))
    )
    table = a_table(tmp_path, facts("", line=line))
    assert training_data(table.runs[0]) == ("a", "b")
    assert not isinstance(training_data(table.runs[0]), Unknown)
