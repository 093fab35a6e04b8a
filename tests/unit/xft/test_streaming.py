"""Upcycle and merge need no memory for tensors: peak resident size on a synthetic checkpoint."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

_BENCHMARK = Path(__file__).parents[2] / "perf" / "xft_streaming.py"
PEAK = (
    "import resource, subprocess, sys\n"
    "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
)


def peak_mb(*arguments: str | Path) -> float:
    command = [sys.executable, "-c", PEAK, sys.executable, "-m", "xft", *map(str, arguments)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
def test_peak_memory_is_independent_of_the_checkpoint(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("xft_streaming", _BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    benchmark.make_dense(tmp_path / "dense", 700_000_000)
    assert len(list((tmp_path / "dense").glob("*.safetensors"))) > 1
    arguments = ["upcycle", tmp_path / "dense", "-o", tmp_path / "moe", "--experts", "3", "--top-k", "2"]
    assert peak_mb(*arguments, "--shard-gb", "0.4") < 100
    assert peak_mb("merge", tmp_path / "moe", "-o", tmp_path / "merged", "--rule", "uniform") < 100
