"""An MoE checkpoint in vLLM: the tokens and logprobs of transformers, in fp32, in separate processes."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from xft_pico import build, load

from xft.config import MoeConfig
from xft.upcycle import upcycle

PROMPTS = [[5, 9, 11, 30, 7], [3, 4, 5], [60, 50, 40, 30, 20, 10, 9]]
N_TOKENS = 8
# vLLM's CPU attention wants heads of 32.
DIMS = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
SERVE = """
import json, os, sys
os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
os.environ["VLLM_LOGGING_LEVEL"] = "INFO"  # trl, imported by another test, sets ERROR for all children
from vllm import LLM, SamplingParams
prompts = json.loads(sys.argv[2])
llm = LLM(model=sys.argv[1], trust_remote_code=True, dtype="float32", enforce_eager=True,
          skip_tokenizer_init=True, max_model_len=64, max_num_seqs=4)
sampling = SamplingParams(
    temperature=0, max_tokens=int(sys.argv[3]), ignore_eos=True, detokenize=False, logprobs=5
)
outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], sampling)
found = [
    {
        "ids": list(done.token_ids),
        "logprobs": [{token: entry.logprob for token, entry in step.items()} for step in done.logprobs],
    }
    for done in (output.outputs[0] for output in outputs)
]
open(sys.argv[4], "w").write(json.dumps(found))
"""


def greedy(model: object, prompt: list[int]) -> tuple[list[int], torch.Tensor]:
    """Return the tokens and all logprobs of each step, without a cache."""
    ids, steps = list(prompt), []
    for _ in range(N_TOKENS):
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits  # type: ignore[operator]
        steps.append(logits[0, -1].log_softmax(-1))
        ids.append(int(steps[-1].argmax()))
    return ids[len(prompt) :], torch.stack(steps)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.parametrize(
    ("family", "log"),
    [("llama", "(external routing)"), ("gemma", "")],
    ids=["SwiGLU in the fused kernel", "GELU expert by expert"],
)
def test_vllm_computes_what_transformers_does(family: str, log: str, tmp_path: Path) -> None:
    build(family, **DIMS).save_pretrained(tmp_path / "dense")
    upcycle(tmp_path / "dense", tmp_path / "moe", MoeConfig(init_std=0.5))
    model = load(tmp_path / "moe")
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "experts." in name or "branches." in name:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "trained")
    arguments = [str(tmp_path / "trained"), json.dumps(PROMPTS), str(N_TOKENS), str(tmp_path / "found.json")]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    output = done.stdout + done.stderr
    assert log in output
    assert "(internal routing)" not in output, "vLLM would route by its own softmax top-k"
    for prompt, found in zip(PROMPTS, json.loads((tmp_path / "found.json").read_text()), strict=True):
        ids, logprobs = greedy(model, prompt)
        assert found["ids"] == ids
        for step, chosen in enumerate(found["logprobs"]):
            for token, logprob in chosen.items():
                assert logprob == pytest.approx(logprobs[step, int(token)].item(), abs=1e-3)
