"""``xftbench noise`` on a real (pico) model, and what `compare` makes of its certificate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import a_spec
from planted import passed, plant

from xftbench.store.noise import Condition, certify, matching, write_certificate

Cli = Callable[[list[str]], Any]


def a_certificate(tallies: list[str], **spec: object) -> Any:
    conditions = [
        Condition(batch_size=size, order="engine", seed=0, run_id=str(size), score=0.5)
        for size in range(1, len(tallies) + 1)
    ]
    runs = [{f"T/{i}": (1, int(c)) for i, c in enumerate(text)} for text in tallies]
    texts = [{(task, 0): str(tally) for task, tally in run.items()} for run in runs]
    return certify("m", a_spec(**spec), conditions, runs, texts)


def test_the_floor_by_hand() -> None:
    # 100 problems; the second run loses 2 and gains 1, the third is like the first.
    certificate = a_certificate(["1" * 50 + "0" * 50, "1" * 48 + "001" + "0" * 49, "1" * 50 + "0" * 50])
    assert certificate.n_flipped == 3
    assert certificate.n_texts_changed == 3
    assert certificate.flip_rate == pytest.approx((0.03 + 0 + 0.03) / 3)
    assert certificate.spread == pytest.approx(0.01)
    assert certificate.floor == pytest.approx(1.96 * 2**0.5 / 100), "2 flips a pair, on average"
    assert a_certificate(["0011", "1111"]).spread == 0.5, "whichever came first"


def test_a_certificate_is_found_by_checkpoint_and_by_how_it_was_measured() -> None:
    certificate = a_certificate(["10", "01"])
    assert matching([certificate], a_spec()) == [certificate]
    assert matching([certificate], a_spec(dtype="bfloat16")) == [], "another rounding, another noise"
    assert matching([certificate], a_spec(checkpoint_sha256="0" * 64)) == []
    assert matching([certificate], a_spec(style="chat")) == []
    assert matching([certificate], a_spec(suite="mbpp")) == []


def test_a_difference_within_the_noise_floor_is_never_called_real(cli: Cli, tmp_path: Path) -> None:
    before, after = "1" * 80 + "0" * 84, "1" * 74 + "0" * 90
    for name, answers in (("sft", before), ("xft", after)):
        plant(tmp_path, name, passed(answers))
    words = ["compare", "sft", "xft", "--runs", str(tmp_path)]
    assert "xft is really worse" in cli(words).stdout
    spec = {"checkpoint_sha256": "s" * 64, "n_problems": 164}
    certificate = a_certificate([before, "1" * 73 + "0" * 91], **spec)
    write_certificate(tmp_path / "noise", certificate)
    result = cli(words)
    assert "WITHIN NOISE" in result.stdout
    assert "sft differs from itself by up to 4.3 points" in result.stdout
    assert "really" not in result.stdout


def test_the_larger_floor_of_two_models_counts_and_a_loss_beyond_it_is_real(cli: Cli, tmp_path: Path) -> None:
    for name, n_right in (("sft", 80), ("xft", 74), ("bad", 60)):
        plant(tmp_path, name, passed("1" * n_right + "0" * (164 - n_right)))
    before = "1" * 80 + "0" * 84
    for checkpoint, flips in (("s", 1), ("x", 7)):
        again = before[:-flips] + "1" * flips
        spec = {"checkpoint_sha256": checkpoint * 64, "n_problems": 164}
        write_certificate(tmp_path / "noise", a_certificate([before, again], **spec))
    told = cli(["compare", "sft", "xft", "--runs", str(tmp_path)]).stdout
    assert "sft and xft differ from themselves by up to 4.3 points" in told
    assert "WITHIN NOISE" in told
    assert "bad is really worse" in cli(["compare", "sft", "bad", "--runs", str(tmp_path)]).stdout


def test_a_real_checkpoint_is_evaluated_under_several_conditions_and_resumes(
    cli: Cli, pico_checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="generating needs torch: pip install 'xftbench[hf]'")
    words = [
        "noise", f"pico={pico_checkpoint}", "--backend", "hf", "--limit", "4", "--max-new-tokens", "8",
        "--batch-sizes", "1,3", "--orders", "shuffled", "--out", str(tmp_path / "runs"),
        "--cache-dir", str(tmp_path / "cache"),
    ]  # fmt: skip
    first = cli([*words, "--json"])
    assert first.exit_code == 0, first.stderr
    (certificate,) = json.loads(first.stdout)
    found = [(c["batch_size"], c["order"], c["seed"]) for c in certificate["conditions"]]
    assert found == [(32, "engine", 0), (1, "engine", 0), (3, "engine", 0), (32, "shuffled", 0)]
    assert certificate["n_problems"] == 4
    assert len(list((tmp_path / "runs" / "noise").glob("*/scores.json"))) == 3
    assert len(list((tmp_path / "runs").glob("*/scores.json"))) == 1, "the plain one is an ordinary run"
    again = cli(words)
    assert again.exit_code == 0
    assert again.stderr.count("already complete") == 4
    assert "noise floor: 0.00 points" in again.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--batch-sizes", "0"], "whole numbers from 1"),
        (["--batch-sizes", "many"], "whole numbers from 1"),
        (["--orders", "backwards"], "known: engine, reversed, shuffled"),
        (["--batch-sizes", "", "--orders", ""], "at least two"),
    ],
)
def test_mistakes_are_told(
    cli: Cli, pico_checkpoint: Path, tmp_path: Path, words: list[str], complaint: str
) -> None:
    places = ["--out", str(tmp_path / "runs"), "--cache-dir", str(tmp_path / "cache")]
    result = cli(["noise", f"pico={pico_checkpoint}", "--backend", "hf", "--limit", "1", *words, *places])
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_samples_have_no_noise_to_measure(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"task_id": "HumanEval/0", "completion": "x"}\n')
    result = cli(["noise", f"a={tmp_path / 's.jsonl'}", "--out", str(tmp_path / "runs")])
    assert result.exit_code == 2
    assert "is a file of samples" in result.stderr
    assert "--seed" not in result.stderr


def test_a_certificate_beside_the_runs_is_found_whatever_the_folder(cli: Cli, tmp_path: Path) -> None:
    before = "1" * 80 + "0" * 84
    sft, xft = (
        plant(tmp_path, name, passed(text)) for name, text in (("sft", before), ("xft", "0" * 6 + before[6:]))
    )
    spec = {"checkpoint_sha256": "s" * 64, "n_problems": 164}
    write_certificate(tmp_path / "noise", a_certificate([before, "0" * 7 + before[7:]], **spec))
    assert "WITHIN NOISE" in cli(["compare", str(sft), str(xft)]).stdout
    assert cli(["gate", str(xft), "--against", str(sft)]).exit_code == 0, "within the noise nothing is proven"
