"""Fixtures of the tests of xft; the helpers they share are in ``xft_pico`` beside this file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from xft_pico import VOCABULARY, build


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
