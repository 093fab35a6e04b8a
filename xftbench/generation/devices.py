"""What this machine computes on, found without importing torch: a run's identity is known before that."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from xftbench.errors import UsageProblem

DTYPES = ("auto", "bfloat16", "float16", "float32")

# x86: AMX or AVX-512 with bf16; ARM: FEAT_BF16. Without them bf16 is emulated: on an AVX2-only EPYC, vLLM
# made 52 tokens/s in float32 and 10 in bfloat16 or float16 (32 HumanEval prompts, 2 threads).
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def device() -> str:
    """Return ``cuda`` if torch can use an NVIDIA GPU here, else ``cpu``."""
    return "cuda" if has_gpu() and not _is_cpu_build() else "cpu"


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is visible to this process; ``/dev/dxg`` is how WSL shows one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def choose_dtype(requested: str, config: dict[str, Any], on: str) -> str:
    """Return the precision to run a checkpoint in.

    ``auto`` is the checkpoint's own precision on a GPU (bfloat16 for one in float32). On a CPU it is the
    checkpoint's own if that is bfloat16 and the CPU computes in it, otherwise float32: exact, and there the
    fastest.

    Raises:
        UsageProblem: If no such precision exists.
    """
    if requested not in DTYPES:
        raise UsageProblem(f"unknown dtype {requested!r}", hint="known: " + ", ".join(DTYPES))
    if requested != "auto":
        return requested
    own = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    if on == "cuda":
        return own if own in ("bfloat16", "float16") else "bfloat16"
    return "bfloat16" if own == "bfloat16" and cpu_has_bf16() else "float32"


def cpu_has_bf16() -> bool:
    """Whether the CPU has instructions for bfloat16."""
    return any(_BF16_FLAGS & set(flags.split()) for flags in _cpuinfo("flags", "Features")[:1])


def cpu_threads() -> int:
    """Return how many threads to compute with: physical cores that this process may use, within its quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = set(zip(_cpuinfo("physical id"), _cpuinfo("core id"), strict=False))
    logical = max(1, len(_cpuinfo("processor")))
    # Two hyper-threads of one core are slower than one at matrix products.
    by_core = usable * len(cores) // logical if cores else usable
    return max(1, min(by_core, _cgroup_quota() or by_core))


def set_thread_environment() -> None:
    """Set what OpenMP reads when torch is imported, unless the user has set it; call this before that.

    Threads that sleep while they wait: spinning ones, OpenMP's default, stall each other as soon as anything
    else runs, and here programs are executed while others are generated.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(cpu_threads()))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def available_memory_bytes() -> int:
    """Return how much memory could be taken without swapping; 4 GiB where the kernel does not say."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 4 << 30


def _is_cpu_build() -> bool:
    try:
        return importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return platform.system() != "Linux"


def _cpuinfo(*keys: str) -> list[str]:
    lines = (line.partition(":") for line in _read("/proc/cpuinfo").splitlines())
    return [value.strip() for key, _, value in lines if key.strip() in keys]


def _cgroup_quota() -> int | None:
    """Return the CPUs that a container may use, rounded up; None if it has no such limit."""
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    return -(-int(quota) // int(period)) if quota.isdigit() and period.isdigit() else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
