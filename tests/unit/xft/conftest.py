"""Fixtures of the tests of xft; the helpers they share are in ``tests/support/xft_pico.py``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from xft_pico import VOCABULARY, build

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "add", "two", "numbers", "return", "a", "+", "b", "@@"]
WORDS += ["Instruction", "Response"]
ASKED = ["add two numbers", "count the words", "sort a list", "open a file", "sum it up", "reverse it"]


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save a pico model of a family as a checkpoint and return its directory."""

    def run(
        family: str = "llama", name: str = "dense", dtype: torch.dtype = torch.float32, **saving: Any
    ) -> Path:
        build(family).to(dtype).save_pretrained(tmp_path / name, **saving)
        return tmp_path / name

    return run


@pytest.fixture
def token_ids() -> torch.Tensor:
    """Two rows of made-up tokens."""
    return torch.randint(3, VOCABULARY, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokenizer() -> Any:
    """A word-level tokenizer of a few words."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


@pytest.fixture
def ready(save: Callable[..., Path], tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base with a tokenizer, and data beside it; the current directory is theirs."""
    tokenizer.save_pretrained(save(dtype=torch.bfloat16))
    rows = [{"instruction": words, "response": "return a + b" + "!" * n} for n, words in enumerate(ASKED * 2)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path
