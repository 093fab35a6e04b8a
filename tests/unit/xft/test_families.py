"""Every family: an upcycled checkpoint, loaded without xft's help, computes what its dense parent does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from xft_pico import FAMILIES, WILD

from xft.upcycle import upcycle


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # transformers' GPTBigCode
@pytest.mark.parametrize("family", FAMILIES)
def test_upcycled_equals_dense(
    family: str, save: Callable[..., Path], tmp_path: Path, token_ids: torch.Tensor
) -> None:
    upcycle(save(family), tmp_path / "moe", WILD)
    dense = AutoModelForCausalLM.from_pretrained(tmp_path / "dense", dtype=torch.float32).eval()
    moe = AutoModelForCausalLM.from_pretrained(
        tmp_path / "moe", dtype=torch.float32, trust_remote_code=True
    ).eval()
    with torch.no_grad():
        expected = dense(token_ids).logits
        torch.testing.assert_close(moe(token_ids).logits, expected, atol=2e-5, rtol=1e-5)
