"""From an MoE's run to its routing, on the command line: kept, resumed, refused for another checkpoint."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pico import TEMPLATE, save_model, save_tokenizer  # noqa: E402

from xft.config import MoeConfig  # noqa: E402
from xft.upcycle import upcycle  # noqa: E402
from xftbench.cli import run  # noqa: E402

pytestmark = pytest.mark.slow
IDS = ["HumanEval/0", "HumanEval/4"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("moe")
    save_model(root / "dense", save_tokenizer(root / "dense", TEMPLATE), 2048)
    upcycle(root / "dense", root / "moe", MoeConfig(num_experts=4, top_k=3, init_std=0.5), seed=1)
    arguments = ["run", "--models", f"dense={root / 'dense'}", f"moe={root / 'moe'}", "--backend", "hf",
                 "--max-new-tokens", "12", "--out", str(root / "runs"),
                 "--leaderboards", str(root / "tables")]  # fmt: skip
    for task_id in IDS:
        arguments += ["--task-id", task_id]
    assert run(["-q", *arguments]) == 0
    return root


def routing_file(made: Path) -> Path:
    (path,) = (made / "runs").glob("*--moe--*")
    return path / "routing.jsonl"


def test_routing_is_shown_kept_and_taken_up_again(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-q", "moe-report", str(made / "runs"), "--json"]) == 0
    (rows,) = json.loads(capsys.readouterr().out).values()
    everything = [row for row in rows if row["part"] == "all"]
    assert [row["layer"] for row in everything] == [0, 1]
    for row in everything:
        assert row["load_0"] == 1.0
        assert sum(row[f"load_{expert}"] for expert in (1, 2, 3)) == pytest.approx(2.0)
        assert sum(row[f"weight_{expert}"] for expert in range(4)) == pytest.approx(1.0, abs=1e-3)
    whole = routing_file(made).read_bytes()
    assert whole.count(b"\n") == len(IDS)
    routing_file(made).write_bytes(whole[: whole.index(b"\n") + 30])  # killed in the second line
    assert run(["-q", "moe-report", str(made / "runs"), "--json"]) == 0
    assert sorted(routing_file(made).read_bytes().splitlines()) == sorted(whole.splitlines())


def test_another_checkpoint_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    routing_file(made).unlink(missing_ok=True)
    other = tmp_path / "other"
    upcycle(made / "dense", other, MoeConfig(num_experts=4, top_k=3, init_std=0.5), seed=2)
    assert run(["moe-report", str(made / "runs"), "--models", f"moe={other}"]) == 5
    assert "is not the checkpoint of" in capsys.readouterr().err


def test_runs_without_a_mixture_are_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (dense,) = (made / "runs").glob("*--dense--*")
    shutil.copytree(dense, tmp_path / "runs" / dense.name)
    assert run(["moe-report", str(tmp_path / "runs")]) == 2
    assert "mixture of experts" in capsys.readouterr().err


def test_the_report_has_the_routing_then(made: Path, tmp_path: Path) -> None:
    assert run(["-q", "moe-report", str(made / "runs")]) == 0
    arguments = ["report", str(made / "runs"), "--out", str(tmp_path / "r.html"), "--plots", str(tmp_path)]
    assert run(["-q", *arguments]) == 0
    assert 'id="routing"' in (tmp_path / "r.html").read_text()
    assert list(tmp_path.glob("routing-load-moe-*.svg"))


def test_a_suite_that_was_run_in_two_ways_is_shown_twice(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "runs", tmp_path / "runs")
    arguments = ["run", "--models", f"moe={made / 'moe'}", "--backend", "hf", "--max-new-tokens", "9",
                 "--task-id", IDS[0], "--out", str(tmp_path / "runs"),
                 "--leaderboards", str(tmp_path / "tables")]  # fmt: skip
    assert run(["-q", *arguments]) == 0
    capsys.readouterr()
    assert run(["-q", "moe-report", str(tmp_path / "runs"), "--json"]) == 0
    titles = list(json.loads(capsys.readouterr().out))
    assert len(titles) == 2
    assert all(title.startswith("moe on humaneval") for title in titles)
