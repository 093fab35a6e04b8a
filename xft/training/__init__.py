"""Full fine-tuning of a dense model (SFT) or of an MoE: one process or many, resumable to the bit.

Until the result is whole, everything that is needed to go on lies beside it, in ``.TARGET.training``. The
same call goes on from there; another one is refused.

Source: hyper-parameters of arXiv 2404.15247's runs (ise-uiuc/xft, train_*.sh), except that weights are
kept in fp32 and gradients are clipped; `REFERENCE` is what the release does.
"""

import dataclasses
import json
import logging
import resource
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xft import interrupt
from xft.checkpoint import (
    DEFAULT_WRITING,
    LINEAGE,
    ROUTING_FILE,
    TRAINING_LOG,
    Checkpoint,
    Plan,
    Writing,
    open_checkpoint,
    write_checkpoint,
)
from xft.data import Example, encode, located, read_rows
from xft.errors import CheckpointError
from xft.lineage import Stage, content_hash, device_name, record
from xft.lineage import encode as encode_lineage
from xft.memory import keep_freed_memory
from xft.output import check_target, new_directory, refuse_overlap
from xft.tensorfile import PlannedTensor, TensorEntry
from xft.training.options import REFERENCE, TrainOptions, resolve_compute
from xft.training.state import claim, forget, last_checkpoint, state_of

if TYPE_CHECKING:
    from xft.training.trainer import StepReport, Watch, XftTrainer

__all__ = ["REFERENCE", "TrainOptions", "step_lines", "train"]

_logger = logging.getLogger(__name__)


def train(
    source_dir: Path,
    data: str | Path,
    target: Path,
    options: TrainOptions,
    *,
    writing: Writing = DEFAULT_WRITING,
    checkpoint_minutes: float = 10.0,
    on_step: "Callable[[StepReport], None] | None" = None,
) -> str:
    """Tune a checkpoint, dense or MoE, on instructions and write the result.

    Call it again with the same arguments to go on after an interruption: the result is the same to the bit.
    Under ``accelerate launch`` every process calls it; the first one writes.

    Args:
        source_dir: The checkpoint.
        data: See `xft.data.read_rows`.
        target: The new checkpoint directory.
        options: How.
        writing: How to write the target; ``overwrite`` also drops an unfinished run.
        checkpoint_minutes: How often the state is kept.
        on_step: Called after each optimiser step with an `xft.training.trainer.StepReport`.

    Returns:
        How many rows were used and which were left out.

    Raises:
        CheckpointError: If the source is missing or truncated.
        DataError: If the data is missing, malformed or too little.
        TrainingError: If a loss or gradient is not finite, or the unfinished run beside the target is of
            other arguments.
        OutputError: If the target exists or can't be written.
        KeyboardInterrupt: After Ctrl-C, once the state is on disk.
    """
    import torch
    from accelerate import PartialState
    from transformers import AutoTokenizer

    source = open_checkpoint(source_dir)
    refuse_overlap(target, [source_dir])
    check_target(target, writing.overwrite)
    if options.ewa is not None:
        source.require_moe("experts' weight averaging")
    # Without `cpu`, several processes on a CPU would each take themselves for the only one.
    processes = PartialState(cpu=not torch.cuda.is_available())
    tokenizer: Any = AutoTokenizer.from_pretrained(source_dir, trust_remote_code=source.is_moe)
    style: Any = options.style
    encoded = encode(read_rows(data), tokenizer, options.max_tokens, style)
    compute = resolve_compute(options.compute, processes.device.type == "cuda")
    options = dataclasses.replace(options, compute=compute)
    spec = {
        "source": content_hash(source, writing.full_hash),
        "data": encoded.sha256,
        "options": dataclasses.asdict(options),
        "processes": processes.num_processes,
    }
    state_dir, is_main = state_of(target), processes.is_main_process
    with claim(state_dir, spec, writing.overwrite) if is_main else nullcontext():
        processes.wait_for_everyone()
        trainer, watch = _prepare(source, tokenizer, encoded.examples, options, state_dir)
        unknown = _unknown_to(trainer.model, source)
        watch.every_s, watch.on_step = 60 * checkpoint_minutes, on_step
        _run(trainer, watch, last_checkpoint(state_dir))
        state, loads = trainer.accelerator.get_state_dict(trainer.model_wrapped), trainer.total_loads()
        if is_main:
            recipe = dataclasses.asdict(options) | {"cost": _cost(trainer, watch) | {"data": located(data)}}
            texts = _texts(source, encoded.sha256, recipe, writing.full_hash)
            texts |= _records(trainer, loads) | source.code_files()
            plan = _plan(_by_source_names(trainer.model, state, source), source, texts, unknown)
            with new_directory(target, writing.overwrite) as directory:
                write_checkpoint(plan, directory, writing)
            forget(state_dir)
        processes.wait_for_everyone()
    return str(encoded)


def _prepare(
    source: Checkpoint, tokenizer: Any, examples: Sequence[Example], options: TrainOptions, state_dir: Path
) -> "tuple[XftTrainer, Watch]":
    """Load the model into a trainer."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    from xft.training.trainer import ExpertAveraging, Watch, XftTrainer, configure, keeps_rows_apart

    keep_freed_memory()
    weights = torch.bfloat16 if options.compute == "pure-bf16" else torch.float32
    _logger.info("weights in %s, computing in %s", weights, options.compute)
    transformers.set_seed(options.seed)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model: Any = AutoModelForCausalLM.from_pretrained(
        source.directory, dtype=weights, trust_remote_code=source.is_moe
    )
    settings = configure(options, state_dir, keeps_rows_apart(model))
    trainer = XftTrainer(model, tokenizer, examples, settings, options)
    if trainer.args.process_index:  # rows of its own need routing noise of their own
        transformers.set_seed(options.seed + trainer.args.process_index)
    watch = Watch(trainer, options.clip)
    trainer.add_callback(watch)
    if options.ewa is not None:
        trainer.add_callback(ExpertAveraging(model, options.ewa))
    return trainer, watch


def _run(trainer: "XftTrainer", watch: "Watch", resumed: Path | None) -> None:
    """Make all steps that are left."""
    if resumed is not None:
        _logger.warning("going on from %s", resumed)
        watch.restore(resumed)
    with _graceful_interrupt(watch):
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    if watch.must_stop and trainer.state.global_step < trainer.state.max_steps:
        _logger.warning("stopped after step %d; the same command goes on there", trainer.state.global_step)
        raise KeyboardInterrupt


@contextmanager
def _graceful_interrupt(watch: "Watch") -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the step that is under way, and keep its result; a second one kills."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        watch.must_stop = True
        interrupt.say("interrupted: the step under way is finished and kept; once more ends at once")
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with interrupt.patiently():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _by_source_names(model: Any, tensors: dict[str, Any], source: Checkpoint) -> dict[str, Any]:
    """Return a model's tensors under the names that the source has for them.

    transformers renames some on loading (GPT-NeoX: embed_out to lm_head), and puts in front of all of them
    the base model's name where the checkpoint was saved without a head (``h.0`` to ``transformer.h.0``).
    """
    from transformers.core_model_loading import revert_weight_conversion

    prefix = f"{model.base_model_prefix}."
    named = {}
    for name, tensor in revert_weight_conversion(model, tensors).items():
        bare = name.removeprefix(prefix)
        named[bare if name not in source.tensors and bare in source.tensors else name] = tensor
    return named


def _unknown_to(model: Any, source: Checkpoint) -> frozenset[str]:
    """Return the source's tensors that are none of the model's: buffers that older models stored.

    Raises:
        CheckpointError: If what the model learns has no place in the source: it could not be saved.
    """
    import torch

    def named(tensors: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
        return _by_source_names(model, shapes, source)

    if homeless := named(model.named_parameters()).keys() - source.tensors.keys():
        raise CheckpointError(
            f"{source.directory} has no tensor {min(homeless)}, which the model would learn"
        )
    return frozenset(source.tensors.keys() - named(model.state_dict().items()).keys())


def _plan(state: dict[str, Any], source: Checkpoint, texts: dict[str, str], unknown: Collection[str]) -> Plan:
    """Return the checkpoint to write: the source's names, order and dtypes, its config and side files.

    Args:
        state: The trained tensors.
        source: What was trained.
        texts: Further small files.
        unknown: Tensors to copy from the source, as the model doesn't have them.
    """
    import torch

    dtypes = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}

    def trained(entry: TensorEntry) -> Iterator[bytes]:
        tensor = state[entry.name]
        tensor = tensor.to(dtypes.get(entry.dtype, tensor.dtype)).contiguous().cpu()
        yield tensor.view(-1).view(torch.uint8).numpy().tobytes()

    if missing := [name for name in source.tensors if name not in state and name not in unknown]:
        raise CheckpointError(f"the trained model has no {missing[0]}, which {source.directory} has")
    tensors = [
        PlannedTensor(e.name, e.dtype, e.shape, [e.data] if e.name in unknown else trained(e))
        for e in source.tensors.values()
    ]
    return Plan(config=source.config, tensors=tensors, side_files=source.side_files(), texts=texts)


def _cost(trainer: "XftTrainer", watch: "Watch") -> dict[str, Any]:
    """Return what the run took; a leaderboard shows it beside the score."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "tokens": watch.n_tokens,
        "steps": trainer.state.global_step,
        "seconds": round(watch.seconds, 1),
        "device": device_name(),
        "processes": trainer.args.world_size,
        "peak_memory_bytes": (
            torch.cuda.max_memory_allocated()
            if on_gpu
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        ),
    }


def _texts(source: Checkpoint, data_hash: str, recipe: dict[str, Any], full_hash: bool) -> dict[str, str]:
    """Return the lineage."""
    stage: Stage = "train" if source.is_moe else "sft"
    lineage = record(stage, [source], recipe, seed=recipe["seed"], data_hash=data_hash, full_hash=full_hash)
    return {LINEAGE: encode_lineage(lineage)}


def _records(trainer: "XftTrainer", loads: list[list[float]]) -> dict[str, str]:
    """Return the log of all steps, and for an MoE how often each expert was chosen."""
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    texts = {TRAINING_LOG: "".join(json.dumps(entry) + "\n" for entry in history)}
    if loads:
        texts[ROUTING_FILE] = json.dumps({"counts": loads}) + "\n"
    return texts


def step_lines(every: int, show: Callable[[str], None]) -> "Callable[[StepReport], None]":
    """Return a callback that shows the first, the last and every n-th step."""

    def on_step(report: "StepReport") -> None:
        if report.step in {1, report.n_steps} or report.step % every == 0:
            show(str(report))

    return on_step
