"""Speed and peak memory of upcycle and merge against ``cp``, interleaved, on a synthetic checkpoint.

Run: python tests/perf/xft_streaming.py [GB of the dense checkpoint, 2] [folder, the temporary one]
Prints one JSON object per round: GB/s written (merge: read) and peak resident memory in MB.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xft.checkpoint import Plan, Writing, write_checkpoint
from xft.tensorfile import PlannedTensor

WIDTH, INNER, VOCABULARY = 2048, 5504, 32000
_LAYER_SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH, WIDTH),
    "self_attn.v_proj": (WIDTH, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "mlp.down_proj": (WIDTH, INNER),
    "input_layernorm": (WIDTH,),
    "post_attention_layernorm": (WIDTH,),
}


def make_dense(directory: Path, n_bytes: int) -> None:
    """Write a bf16 Llama-shaped checkpoint of about that size, in shards of 500 MB."""
    layer_bytes = 2 * sum(int(np.prod(shape)) for shape in _LAYER_SHAPES.values())
    n_layers = max(1, (n_bytes - 4 * VOCABULARY * WIDTH) // layer_bytes)
    tensors = [_random("model.embed_tokens.weight", (VOCABULARY, WIDTH))]
    for layer in range(n_layers):
        tensors += [
            _random(f"model.layers.{layer}.{name}.weight", shape) for name, shape in _LAYER_SHAPES.items()
        ]
    tensors += [_random("model.norm.weight", (WIDTH,)), _random("lm_head.weight", (VOCABULARY, WIDTH))]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": n_layers,
        "vocab_size": VOCABULARY,
    }
    directory.mkdir(parents=True)
    write_checkpoint(Plan(config, tensors, [], {}), directory, Writing(shard_bytes=500_000_000))


def _random(name: str, shape: tuple[int, ...]) -> PlannedTensor:
    return PlannedTensor(name, "BF16", shape, _blocks(2 * int(np.prod(shape))))


def _blocks(n_bytes: int) -> Iterator[bytes]:
    """Yield bf16 values as weights have them; random bits would be full of denormals, which add slowly."""
    values = np.random.default_rng(0).normal(0, 0.02, 1 << 20).astype(np.float32)
    block = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    while n_bytes:
        yield block[:n_bytes]
        n_bytes -= min(len(block), n_bytes)


def timed(arguments: list[str]) -> tuple[float, float]:
    """Run a command; return seconds and its own peak memory in MB."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, float(done.stdout)


def size_of(directory: Path) -> float:
    """Return the size of a directory in GB."""
    return sum(path.stat().st_size for path in directory.iterdir()) / 1e9


def main() -> None:
    """Run three interleaved rounds."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    parent = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        work = Path(name)
        make_dense(work / "dense", int(gigabytes * 1e9))
        xft = [sys.executable, "-m", "xft"]
        up = [*xft, "upcycle", str(work / "dense"), "--experts", "4", "--top-k", "3", "-o", str(work / "moe")]
        down = [*xft, "merge", str(work / "moe"), "--rule", "uniform", "-o", str(work / "merged")]
        for _ in range(3):
            row: dict[str, float] = {}
            for key, command, target, counted in (
                ("cp", ["cp", "-r", str(work / "dense"), str(work / "copy")], "copy", "copy"),
                ("upcycle", up, "moe", "moe"),
                ("cp_moe", ["cp", "-r", str(work / "moe"), str(work / "copy")], "copy", "copy"),
                ("merge", down, "merged", "moe"),
            ):
                seconds, peak = timed(command)
                row[f"{key}_gb_per_s"] = round(size_of(work / counted) / seconds, 2)
                row[f"{key}_peak_mb"] = round(peak)
                if target != "moe":
                    shutil.rmtree(work / target)
            row["upcycle_over_cp"] = round(row["upcycle_gb_per_s"] / row["cp_gb_per_s"], 2)
            row["merge_over_cp"] = round(row["merge_gb_per_s"] / row["cp_moe_gb_per_s"], 2)
            shutil.rmtree(work / "moe")
            sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
