"""Data for learning, and learning the coefficients."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from tokenizers import Tokenizer, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast
from xft_pico import WILD, fails, load, run

from xft.coefficients import MIXING_FILE, Mixing
from xft.data import IGNORED, encode, endless_batches, pad, read_rows, split
from xft.errors import DataError, TrainingError, UsageProblem
from xft.learn import Kept, LearnOptions, _rate, batch_loss, learn_mixing, mean_loss, optimise
from xft.mixing import make_mixing
from xft.upcycle import upcycle


def write(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("record", "instruction", "response"),
    [
        ({"instruction": "i", "response": "r"}, "i", "r"),
        ({"instruction": "i", "input": "x", "output": "r"}, "i\n\nx", "r"),
        ({"instruction": "i", "input": "", "output": "r"}, "i", "r"),
        ({"prompt": "i", "completion": "r", "id": 3}, "i", "r"),
        ({"messages": [{"role": "user", "content": "i"}, {"role": "assistant", "content": "r"}]}, "i", "r"),
        (
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "i"},
                    {"role": "assistant", "content": "r"},
                ]
            },
            "s\n\ni",
            "r",
        ),
    ],
)
def test_the_usual_shapes_are_read(tmp_path: Path, record: Any, instruction: str, response: str) -> None:
    (row,) = read_rows(write(tmp_path / "d.jsonl", record))
    assert (row.instruction, row.response, row.line) == (instruction, response, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "{",
        "[1]\n",
        '{"text": "x"}\n',
        '{"messages": []}\n',
        '{"instruction": 3, "output": "x"}\n',
        '{"instruction": "x", "output": "\\ud83d"}\n',
    ],
)
def test_other_data_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"d\.jsonl"):
        read_rows(tmp_path / "d.jsonl")
    with pytest.raises(DataError, match="nowhere"):
        read_rows(tmp_path / "nowhere")


def test_only_response_and_end_are_labelled(tmp_path: Path, tokenizer: Any) -> None:
    rows = read_rows(write(tmp_path / "d.jsonl", {"instruction": "add two", "response": "a + b"}))
    (example,) = encode(rows, tokenizer, 64, "raw").examples
    assert tokenizer.decode(example.ids) == "<s> add two a + b </s>"
    assert example.labels == [IGNORED] * 3 + example.ids[3:]
    (example,) = encode(rows, tokenizer, 64, "magicoder").examples
    assert tokenizer.decode(example.ids).endswith("@@ Instruction add two @@ Response a + b </s>")
    with pytest.raises(DataError, match="no chat template"):
        encode(rows, tokenizer, 64, "chat")


def test_a_response_that_shows_a_special_token_does_not_end_there(tmp_path: Path) -> None:
    bytes_only = Tokenizer(models.BPE({c: n for n, c in enumerate(ByteLevel.alphabet())}, []))
    bytes_only.pre_tokenizer = ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, bos_token="<s>", eos_token="</s>")
    rows = read_rows(write(tmp_path / "d.jsonl", {"instruction": "add", "response": "a </s> + <s> b"}))
    (example,) = encode(rows, tokenizer, 64, "raw").examples
    learned = [token for token in example.labels if token != IGNORED]
    assert learned.count(tokenizer.eos_token_id) == 1
    assert learned[-1] == tokenizer.eos_token_id
    assert tokenizer.bos_token_id not in learned


def test_a_template_that_writes_the_date_writes_the_same_every_day(tmp_path: Path, tokenizer: Any) -> None:
    dated = copy.deepcopy(tokenizer)
    dated.chat_template = "{{ strftime_now('%Y') ~ (' add' if strftime_now('%d %b') == '26 Jul' else '') }}"
    rows = read_rows(write(tmp_path / "d.jsonl", {"instruction": "add two", "response": "a + b"}))
    (example,) = encode(rows, dated, 64, "chat").examples
    assert tokenizer.decode(example.ids).endswith("add a + b </s>")


def test_cut_and_empty_rows_are_counted_and_named(tmp_path: Path, tokenizer: Any) -> None:
    rows = [{"instruction": "a", "response": "b"}, {"instruction": "a", "response": " "}]
    rows += [{"instruction": "a", "response": "b " * 50}]
    longest = len(["<s>", "a", "b", "</s>"])
    encoded = encode(read_rows(write(tmp_path / "d.jsonl", *rows)), tokenizer, longest, "raw")
    assert (len(encoded.examples), encoded.cut, encoded.empty) == (1, [3], [2])
    assert str(encoded) == (
        "1 examples; 1 rows too long left out (lines 3); 1 rows with an empty response left out (lines 2)"
    )
    with pytest.raises(DataError, match="no row is left"):
        encode(read_rows(write(tmp_path / "d.jsonl", *rows[1:])), tokenizer, 20, "raw")


@pytest.fixture
def examples(tmp_path: Path, tokenizer: Any) -> Any:
    rows = [{"instruction": "add " * (i % 4 + 1), "response": "a + b"} for i in range(12)]
    return encode(read_rows(write(tmp_path / "d.jsonl", *rows)), tokenizer, 64, "raw").examples


def test_every_epoch_sees_every_row_once(examples: Any) -> None:
    batches = endless_batches(examples, 4, seed=1)
    epochs = [[id(example) for _ in range(3) for example in next(batches)] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(map(id, examples))
    assert epochs[0] != epochs[1]


def test_the_split_is_disjoint_and_never_empty(examples: Any) -> None:
    training, held_out = split(examples, 0.01, seed=0)
    assert (len(training), len(held_out)) == (11, 1)
    assert {id(e) for e in training} | {id(e) for e in held_out} == set(map(id, examples))
    with pytest.raises(DataError):
        split(examples[:1], 0.5, seed=0)


def test_padding_and_batching_do_not_change_the_loss(save: Callable[..., Path], examples: Any) -> None:
    for index, example in enumerate(examples):
        example.labels[: -1 - index // 4] = [IGNORED] * (len(example.labels) - 1 - index // 4)
    model = load(save())
    together, by_four = mean_loss(model, examples, 12, pad_id=2), mean_loss(model, examples, 4, pad_id=2)
    with torch.no_grad():
        alone = [batch_loss(model, [example], pad_id=0) for example in examples]
    expected = sum(float(loss) for loss, _ in alone) / sum(n for _, n in alone)
    assert [together, by_four] == pytest.approx([expected, expected], abs=1e-5), "every token counts alike"
    assert [sum(row) for row in pad(examples, 2)["attention_mask"]] == [len(e.ids) for e in examples]


def test_a_loss_that_is_not_finite_stops_with_its_step(
    save: Callable[..., Path], tmp_path: Path, examples: Any
) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    make_mixing(model)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="nan at step 1"):
        optimise(model, examples, 0, LearnOptions(steps=3))


@pytest.mark.parametrize("fields", [{"steps": 0}, {"lr": 0.0}, {"batch_size": 0}, {"held_out": 1.0}])
def test_impossible_options_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem):
        LearnOptions(**fields)


def test_the_rate_warms_up_for_a_tenth_of_the_steps_and_ends_near_0() -> None:
    assert [_rate(step, 20) for step in range(20)] == [0.5, *(left / 19 for left in range(19, 0, -1))]
    assert [_rate(step, 3) for step in range(3)] == [1.0, 2 / 3, 1 / 3]


def test_nothing_but_the_loss_moves_the_shares(
    save: Callable[..., Path], tmp_path: Path, examples: Any
) -> None:
    """Among experts that are alike no share is better than another, so all stay where they are."""
    upcycle(save(), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    mixed = make_mixing(model)
    start = torch.tensor([2.0, 0.0, -1.0])
    with torch.no_grad():
        for mlp in mixed:
            mlp.logits[0].copy_(start)
    optimise(model, examples, 0, LearnOptions(steps=3, batch_size=4, lr=0.5))
    for mlp in mixed:
        torch.testing.assert_close(mlp.logits[0].data, start, atol=1e-4, rtol=0)


def test_learning_finds_the_expert_that_helps(
    save: Callable[..., Path], tmp_path: Path, tokenizer: Any, examples: Any
) -> None:
    """One routed expert is the good MLP, the others are ruined: its share must grow, and the loss fall."""
    upcycle(save(), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        loss, count = batch_loss(model, examples, 0)
        optimiser.zero_grad()
        (loss / count).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        for layer in model.model.layers:
            for stack in layer.mlp.experts.parameters():
                stack.copy_(stack.mean(0, keepdim=True).expand_as(stack).clone())
                stack[1:3].add_(torch.randn_like(stack[1:3]))
    model.save_pretrained(tmp_path / "tuned")
    tokenizer.save_pretrained(tmp_path / "tuned")
    data = tmp_path / "d.jsonl"
    options = [
        "--style",
        "raw",
        "--steps",
        "40",
        "--lr",
        "0.3",
        "--shared-weight",
        "0.2",
        "--held-out",
        "0.3",
    ]
    out = run("learn-mixing", tmp_path / "tuned", "--data", data, *options)
    assert "better than equal shares" in out
    assert "not better" not in out
    mixing = msgspec.json.decode((tmp_path / "tuned" / MIXING_FILE).read_bytes(), type=Mixing)
    for layer in range(2):
        shares = mixing.of(layer, "*")
        assert shares[0] == 0.2
        assert shares[3] > 0.5, "the routed expert that is not ruined"
    out = run("merge", tmp_path / "tuned", "-o", tmp_path / "merged", "--verify")
    assert "merged by the rule learned" in out
    again = run("learn-mixing", tmp_path / "tuned", "--data", data, *options, "-o", tmp_path / "again.json")
    repeated = msgspec.json.decode((tmp_path / "again.json").read_bytes(), type=Mixing)
    assert (repeated.logits, repeated.shared_weights) == (mixing.logits, mixing.shared_weights), again
    assert repeated.cost is not None
    assert repeated.cost["tokens"] == (mixing.cost or {})["tokens"] > 0


class Crash(BaseException):
    """Stands for a kill: nobody catches it."""


@pytest.mark.parametrize("cut", [2, 3], ids=["amid", "after the last step"])
def test_an_interrupted_run_goes_on_with_the_same_rows_to_the_same_end(
    save: Callable[..., Path],
    tmp_path: Path,
    tokenizer: Any,
    examples: Any,
    monkeypatch: pytest.MonkeyPatch,
    cut: int,
) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    tokenizer.save_pretrained(tmp_path / "moe")
    monkeypatch.setattr("xft.learn._KEEP_EVERY_S", 0.0)
    monkeypatch.chdir(tmp_path)
    options = LearnOptions(steps=3, batch_size=4)

    def learn(name: str, on_step: Any = None, **others: Any) -> tuple[list[Any], int]:
        mixed, report = learn_mixing(
            tmp_path / "moe",
            "d.jsonl",
            options,
            "raw",
            state=Kept(tmp_path / name),
            on_step=on_step,
            **others,
        )
        assert report.tokens_per_s > 0
        return [logits for layer in mixed for logits in layer.logits], report.cost["tokens"]

    def stop(step: int, n_steps: int, _: float) -> None:
        if step == cut:
            raise Crash

    with pytest.raises(Crash):
        learn("state", stop)
    with pytest.raises(TrainingError, match="another MoE, data or options"):
        learn("state", held_out_data="d.jsonl")
    (logits, tokens), (expected, n_tokens) = learn("state"), learn("other")
    assert tokens == n_tokens
    assert all(torch.equal(a, b) for a, b in zip(logits, expected, strict=True))


def test_slips_on_the_command_line(save: Callable[..., Path], tmp_path: Path, tokenizer: Any) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    tokenizer.save_pretrained(tmp_path / "moe")
    data = write(tmp_path / "d.jsonl", *[{"instruction": "a", "response": "b"}] * 3)
    assert fails("learn-mixing", tmp_path / "dense", "--data", data).exit_code == 3
    assert fails("learn-mixing", tmp_path / "moe", "--data", tmp_path / "no").exit_code == 7
    assert fails("learn-mixing", tmp_path / "moe", "--data", data, "--shared-weight", "2").exit_code == 2
    for out in (tmp_path, tmp_path / "nowhere" / "mixing.json"):
        error = fails("learn-mixing", tmp_path / "moe", "--data", "not read yet", "--out", out)
        assert error.exit_code == 5, "before anything is learned"
    assert not (tmp_path / "moe" / MIXING_FILE).exists()
