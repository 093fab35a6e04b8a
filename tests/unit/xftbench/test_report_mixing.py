"""How far shares moved, against numbers done by hand; and which runs make a sweep."""

import math
from pathlib import Path

import msgspec
import pytest
from many_runs import write_run

from xftbench.report.differences import against
from xftbench.report.mixing import movement, section, shared_weight, sweep
from xftbench.report.runs import into_tables, read_runs
from xftbench.store.model_facts import ModelFacts
from xftbench.store.run_dir import read_spec


def merged(path: Path, shares: tuple[tuple[float, ...], ...], origin: str = "moe") -> Path:
    spec = read_spec(path)
    facts = ModelFacts(
        n_parameters=1, n_active_parameters=1, stage="merge", shares=shares, merged_from=origin
    )
    environment = msgspec.structs.replace(spec.environment, model=facts)
    (path / "spec.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(spec, environment=environment))
    )
    return path


def test_shares_that_moved_by_half_say_so() -> None:
    frame = movement([(0.75, 0.125, 0.125), (0.6, 0.3, 0.1)])
    assert list(frame["largest_change"]) == pytest.approx([0.0, 0.5])
    assert list(frame["shared_weight"]) == [0.75, 0.6]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    assert list(frame["entropy"]) == pytest.approx([1.0, entropy])


def test_merges_of_one_mixture_that_differ_in_lambda_make_a_sweep(tmp_path: Path) -> None:
    for name, weight, origin in (("a", 0.5, "x"), ("b", 0.0, "x"), ("c", 1.0, "x"), ("d", 0.5, "y")):
        path = write_run(tmp_path, name, "humaneval", n_problems=4, n=1, rate=0.5)
        merged(path, ((weight, 1 - weight),) * 2, origin)
    write_run(tmp_path, "dense", "humaneval", n_problems=4, n=1, rate=0.5)
    (table,) = into_tables(read_runs(sorted(tmp_path.iterdir())))
    (line,) = sweep(table)
    assert [(run.name, shared_weight(run)) for run in line] == [("b", 0.0), ("a", 0.5), ("c", 1.0)]
    comparison = against([table], "dense", [])
    assert comparison is not None
    found = section([table], comparison)
    assert found is not None
    frame = found.blocks[0].frame
    assert frame is not None
    assert list(frame["λ"]) == ["0", "0.5", "1"]
    differences = {pair.candidate: pair.test.difference for pair in comparison.pairs}
    assert [float(text.split()[0]) for text in frame["points"]] == pytest.approx(
        [round(100 * differences[name], 1) for name in ("b", "a", "c")]
    )
    assert [figure.name.rpartition("-humaneval-")[0] for figure in found.blocks[0].figures] == [
        "lambda",
        "lambda-difference",
    ]


def test_without_a_merge_there_is_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, "dense", "humaneval", n_problems=4, n=1, rate=0.5)
    assert section(into_tables(read_runs(sorted(tmp_path.iterdir()))), None) is None
