"""What can't be upcycled is refused, with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from xft_pico import build

from xft.architecture import find_mlps
from xft.checkpoint import open_checkpoint
from xft.errors import ArchitectureError, CheckpointError


def edit_config(directory: Path, **changes: Any) -> None:
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("architecture", "fields", "reason"),
    [
        ("BloomForCausalLM", {"n_layer": 2, "n_head": 4}, "calls its MLP with more than the hidden state"),
        (
            "MixtralForCausalLM",
            {
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "intermediate_size": 48,
            },
            "sparse already",
        ),
        (
            "OPTForCausalLM",
            {"num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48, "word_embed_proj_dim": 32},
            "no MLP module",
        ),
    ],
)
def test_unsuitable_models_are_refused(
    tmp_path: Path, architecture: str, fields: dict[str, Any], reason: str
) -> None:
    model_class = getattr(transformers, architecture)
    model_class(model_class.config_class(vocab_size=64, hidden_size=32, **fields)).save_pretrained(tmp_path)
    with pytest.raises(ArchitectureError, match=reason):
        find_mlps(open_checkpoint(tmp_path))


def test_layers_that_differ_are_refused(tmp_path: Path) -> None:
    model = build("llama")
    model.model.layers[1].mlp.gate_proj.weight.data = model.model.layers[1].mlp.gate_proj.weight[:40].clone()
    model.save_pretrained(tmp_path)
    with pytest.raises(ArchitectureError, match="layer 1 has a mlp of other tensors"):
        find_mlps(open_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architectures": ["LlamaForSequenceClassification"]}, "not a causal language model"),
        ({"architectures": ["MyLlamaForCausalLM"]}, "has no MyLlamaForCausalLM"),
        ({"architectures": []}, "names 0 architectures"),
        ({"num_experts": 8}, "sparse already"),
        ({"text_config": {}}, "multimodal"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
    ],
)
def test_what_the_config_gives_away_is_refused(
    save: Callable[..., Path], changes: dict[str, Any], reason: str
) -> None:
    edit_config(directory := save(), **changes)
    with pytest.raises(ArchitectureError, match=reason):
        find_mlps(open_checkpoint(directory))


def test_a_quantised_checkpoint_is_refused(save: Callable[..., Path]) -> None:
    edit_config(directory := save(), quantization_config={"bits": 4})
    with pytest.raises(CheckpointError, match="quantized"):
        open_checkpoint(directory)


@pytest.mark.parametrize(
    ("family", "mlp", "stacks", "container"),
    [
        ("llama", "mlp", {"gate_up_proj", "down_proj"}, "experts"),
        ("phi3", "mlp", {"gate_up_proj", "down_proj"}, "experts"),
        ("gemma", "mlp", {"gate_up_proj", "down_proj"}, "branches"),
        ("starcoder2", "mlp", {"c_fc__weight", "c_fc__bias", "c_proj__weight", "c_proj__bias"}, "branches"),
        ("gpt2", "mlp", {"c_fc__weight", "c_fc__bias", "c_proj__weight", "c_proj__bias"}, "branches"),
    ],
)
def test_the_mlp_is_found_by_structure(
    save: Callable[..., Path], family: str, mlp: str, stacks: set[str], container: str
) -> None:
    layout = find_mlps(open_checkpoint(save(family)))
    assert (layout.mlp, set(layout.stacks), layout.container, layout.width) == (mlp, stacks, container, 32)
