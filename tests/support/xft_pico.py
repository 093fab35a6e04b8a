"""Pico models of every family that the method claims to handle, and short ways to load and run things."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from xft.cli import cli
from xft.config import MoeConfig
from xft.errors import XftError
from xft.training import TrainOptions

# Far from uniform: with a flat router, a broken one would pass.
WILD = MoeConfig(num_experts=4, top_k=3, init_std=0.5)
VOCABULARY = 64
_DIMS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 80}
_ROPE = {"rope_type": "linear", "factor": 4.0, "rope_theta": 100000.0}

# Model class → fields of its config: gated MLPs first, then plain ones with biases.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", _DIMS | {"rope_parameters": _ROPE}),
    "llama-bias": ("LlamaForCausalLM", _DIMS | {"mlp_bias": True}),
    "llama-tied": ("LlamaForCausalLM", _DIMS | {"tie_word_embeddings": True}),
    "mistral": ("MistralForCausalLM", _DIMS | {"sliding_window": 4}),
    "qwen2": ("Qwen2ForCausalLM", _DIMS),
    "qwen3": ("Qwen3ForCausalLM", _DIMS | {"head_dim": 8}),
    "stablelm": ("StableLmForCausalLM", _DIMS),
    "gemma": ("GemmaForCausalLM", _DIMS | {"head_dim": 8}),
    "gemma2": ("Gemma2ForCausalLM", _DIMS | {"head_dim": 8}),
    "gemma3": ("Gemma3ForCausalLM", _DIMS | {"head_dim": 8}),
    "phi3": ("Phi3ForCausalLM", _DIMS),
    "granite": ("GraniteForCausalLM", _DIMS),
    "cohere": ("CohereForCausalLM", _DIMS),
    "olmo": ("OlmoForCausalLM", _DIMS),
    "olmo2": ("Olmo2ForCausalLM", _DIMS),
    "smollm3": ("SmolLM3ForCausalLM", _DIMS),
    "glm4": ("Glm4ForCausalLM", _DIMS | {"head_dim": 8}),
    "helium": ("HeliumForCausalLM", _DIMS | {"head_dim": 8}),
    "exaone4": ("Exaone4ForCausalLM", _DIMS),
    "seed_oss": ("SeedOssForCausalLM", _DIMS | {"head_dim": 8}),
    "starcoder2": ("Starcoder2ForCausalLM", _DIMS | {"use_bias": True}),
    "gpt_neox": ("GPTNeoXForCausalLM", {k: v for k, v in _DIMS.items() if k != "num_key_value_heads"}),
    "phi": ("PhiForCausalLM", _DIMS),
    "gpt2": ("GPT2LMHeadModel", _GPT2),
    "gpt_bigcode": ("GPTBigCodeForCausalLM", _GPT2),
    "codegen": ("CodeGenForCausalLM", _GPT2 | {"rotary_dim": 4}),
    "falcon": (
        "FalconForCausalLM",
        {k: v for k, v in _DIMS.items() if k != "intermediate_size"},
    ),
    "persimmon": ("PersimmonForCausalLM", {k: v for k, v in _DIMS.items() if k != "num_key_value_heads"}),
    "arcee": ("ArceeForCausalLM", _DIMS),
    "nemotron": ("NemotronForCausalLM", _DIMS),
    "apertus": ("ApertusForCausalLM", _DIMS),
    "hunyuan": ("HunYuanDenseV1ForCausalLM", _DIMS | {"head_dim": 8}),
    "falcon_h1": ("FalconH1ForCausalLM", _DIMS | {"head_dim": 8}),
    "internlm3-like": ("Ernie4_5ForCausalLM", _DIMS | {"head_dim": 8}),
}

# Options of short trainings.
FAST = ["--style", "raw", "--lr", "0.003", "--steps", "6", "--batch-size", "4", "--compute", "fp32"]
QUICK = TrainOptions(style="raw", lr=3e-3, steps=6, batch_size=2, compute="fp32")

TRAINS = [
    # TRL and accelerate, on what they call of transformers and torch.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def build(family: str, **changes: Any) -> Any:
    """Return a pico model of the family with random weights, in eval mode."""
    architecture, fields = FAMILIES[family]
    model_class = getattr(transformers, architecture)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**fields | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)  # far from zero, or a broken MLP would hardly show
    return model


def load(directory: Path, **options: Any) -> Any:
    """Load a checkpoint, dense or MoE, in eval mode."""
    return AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True, **options).eval()


def tensors(directory: Path) -> dict[str, torch.Tensor]:
    """Return every tensor of a checkpoint."""
    return {name: t for path in directory.glob("*.safetensors") for name, t in load_file(path).items()}


def run(*arguments: str | Path) -> str:
    """Run a command in this process and return its stdout; an expected error is raised."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if isinstance(result.exception, XftError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments: str | Path) -> XftError:
    """Run a command that must fail in an expected way, and return the error."""
    with pytest.raises(XftError) as caught:
        run(*arguments)
    return caught.value
