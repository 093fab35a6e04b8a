"""What this machine computes on, found without importing torch: a run's identity is known before that."""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from xftbench.errors import BackendError, UsageProblem

DTYPES = ("auto", "bfloat16", "float16", "float32")

# x86: AMX or AVX-512 with bf16; ARM: FEAT_BF16. Without them bf16 is emulated: on an AVX2-only EPYC, vLLM
# made 52 tokens/s in float32 and 10 in bfloat16 or float16 (32 HumanEval prompts, 2 threads).
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

_NVIDIA_SMI_S = 60.0
_GPU_LINE = re.compile(r"^\d+, (.+)$", re.MULTILINE)
_POSITIVE = re.compile("[1-9][0-9]{0,3}")

# Libraries choose their kernels by these; the best one that a CPU has. The last three are ARM's.
_INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "bf16", "sve", "asimd")


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
    return bool(_BF16_FLAGS & _cpu_flags())


def processor(on: str, n_gpus: int = 1) -> str:
    """Return what the arithmetic of a model runs on, as far as its rounding depends on it.

    Kernels are chosen by the processor, and sums are cut into parts by the number of threads, or of GPUs:
    greedy and in bfloat16, SmolLM2-135M passed 9 problems of HumanEval on Intel cores with AMX and 10 on AMD
    cores with AVX-512, and a checkpoint tuned from it gave 2 of 16 answers otherwise on one thread than on
    two.

    Args:
        on: ``cuda`` or ``cpu``.
        n_gpus: How many GPUs hold one model.

    Raises:
        BackendError: If nvidia-smi hangs.
    """
    if on == "cuda":
        names = _gpu_names(os.environ.get("CUDA_VISIBLE_DEVICES", ""))[:n_gpus] or ["unknown GPU"]
        return f"{n_gpus} x {' and '.join(sorted(set(names)))}"
    flags = _cpu_flags()
    best = next((name for name in _INSTRUCTION_SETS if name in flags), platform.machine())
    threads = cpu_threads()
    return f"{cpu_name()}, {best}, {threads} thread{'s' if threads > 1 else ''}"


def cpu_name() -> str:
    """Return what the CPU calls itself."""
    return next(iter(_cpuinfo("model name")), "") or platform.processor() or "unknown CPU"


def cpu_threads() -> int:
    """Return how many threads to compute with: OpenMP's setting, if the user has one.

    Otherwise the physical cores that this process may use, within its quota.
    """
    if _POSITIVE.fullmatch(chosen := os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()):
        return int(chosen)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = set(zip(_cpuinfo("physical id"), _cpuinfo("core id"), strict=False))
    logical = max(1, len(_cpuinfo("processor")))
    # Two hyper-threads of one core are slower than one at matrix products.
    by_core = usable * len(cores) // logical if cores else usable
    return max(1, min(by_core, _cgroup_quota() or by_core))


def set_torch_environment() -> None:
    """Set what torch and OpenMP read when torch is imported, unless the user has set it.

    Threads that wait spin for some microseconds and then sleep. Those that spin on, OpenMP's default, stall
    each other as soon as anything else runs, and here programs are executed while others are generated; those
    that sleep at once are woken too late. Tokens/s of vLLM on two busy cores: 47 spinning, 61 to 72 sleeping,
    85 to 104 as set here.
    """
    settings = {
        "OMP_NUM_THREADS": str(cpu_threads()),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "10000",
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # else its C++ announces how it binds memory
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def available_memory_bytes() -> int:
    """Return how much memory could be taken without swapping; 4 GiB where the kernel does not say."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 4 << 30


@cache
def _gpu_names(visible: str) -> list[str]:
    """Return the names of the GPUs that CUDA_VISIBLE_DEVICES lists; of all, if nvidia-smi knows them not."""
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    query = [program, "--query-gpu=index,name", "--format=csv,noheader"]
    for command in ([*query, "-i", visible], query) if visible else (query,):
        try:
            found = subprocess.run(command, capture_output=True, timeout=_NVIDIA_SMI_S, check=True).stdout
        except subprocess.TimeoutExpired as error:
            raise BackendError(
                f"nvidia-smi gives no answer within {_NVIDIA_SMI_S:.0f} s: which GPU this is, is not known",
                hint="see that nvidia-smi works; a run's identity names the GPU",
            ) from error
        except (OSError, subprocess.SubprocessError):
            continue
        return [name.strip() for name in _GPU_LINE.findall(found.decode(errors="replace"))]
    return []


def _is_cpu_build() -> bool:
    try:
        return importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return platform.system() != "Linux"


def _cpu_flags() -> set[str]:
    return set(" ".join(_cpuinfo("flags", "Features")[:1]).split())


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
