"""The reference tensors of the method's authors: see ../shared/golden/README.md for what made them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no reference tensors at {GOLDEN}")


def selfcheck(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: MKL's order of summation is fixed once per process."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    command = [sys.executable, "-m", "xft", "selfcheck", "--golden", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_every_reference_file_is_reproduced() -> None:
    done = selfcheck(GOLDEN)
    assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(path.name for path in GOLDEN.glob("*.safetensors"))
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == files
    assert all(line.startswith("ok ") for line in lines)


DAMAGE = [
    ("gate-xft-mlp-e8k6", "eval_weights_TK", 2e-6),
    ("gate-xft-mlp-e8k6", "train_balance_loss", 2e-6),
    ("gate-topk-linear-e8k2", "eval_output_TD", 2e-5),
    ("gate-topk-linear-e8k2", "train_ids_TK", 1),
    ("gate-xft_unnormalized-linear-e8k2", "train_load_R", 1e-2),
    ("merge-lambda0.5", "merged", 1e-5),
    ("merge-lambda0.5", "coefficients_E", 2e-6),
]


def test_a_shifted_value_is_noticed(tmp_path: Path) -> None:
    for index, (file, tensor, shift) in enumerate(DAMAGE):
        path = GOLDEN / f"{file}.safetensors"
        tensors = load_file(path)
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata()
        flat = tensors[tensor].view(-1)
        flat[flat.numel() // 2] += torch.tensor(shift).to(flat.dtype)
        save_file(tensors, tmp_path / f"{file}-{index}.safetensors", metadata)
    shutil.copy(GOLDEN / "merge-lambda0.75.safetensors", tmp_path)
    done = selfcheck(tmp_path)
    assert done.returncode == 6
    assert "7 of 8 reference files differ" in done.stderr
    for index, (file, tensor, _) in enumerate(DAMAGE):
        (line,) = (line for line in done.stdout.splitlines() if f"{file}-{index}.safetensors" in line)
        what = tensor.rsplit("_", 1)[0] if tensor[-1].isupper() else tensor
        assert line.startswith("DIFFERS ")
        assert what.replace("_", " ") in line
