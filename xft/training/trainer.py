"""TRL's trainer with what an upcycled MoE needs: the balance loss, its figures, and norms per group.

TRL packs, masks, and computes cross-entropy without building the logits; transformers and accelerate run the
steps, on one process or many, and write checkpoints. The experts stay packed on disk, so that a checkpoint
is read back whole (transformers' own conversion of expert layouts would lose them).
"""

import inspect
import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.nn import functional
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from xft.data import Example
from xft.errors import TrainingError, UsageProblem
from xft.output import named_failures, write_text_atomically
from xft.training.options import TrainOptions
from xft.training.state import COMPLETE, last_checkpoint


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step."""

    step: int
    n_steps: int
    loss: float
    """Mean cross-entropy of the response tokens."""
    balance_loss: float
    """Sum over layers, mean over passes; 0 for a dense model."""
    busiest: float
    """Load of a layer's most used routed expert over the mean load: 1 is even; 0 for a dense model."""
    router_entropy: float
    """Mean entropy of the routers' scores, 0 to 1; 0 for a dense model."""
    grad_norm: float
    grad_norms: dict[str, float]
    """Per group: shared expert, routed experts, router, attention, MLPs, rest."""
    tokens_per_s: float

    def __str__(self) -> str:
        text = f"step {self.step}/{self.n_steps}: loss {self.loss:.4f}, gradient {self.grad_norm:.2f}"
        if self.busiest:
            text += f", balance {self.balance_loss:.4f}, busiest expert {self.busiest:.2f} x even"
            text += f", router entropy {self.router_entropy:.2f}"
        return f"{text}, {self.tokens_per_s:.0f} tokens/s"


OnStep = Callable[[StepReport], None]


class XftTrainer(SFTTrainer):
    """Tunes a dense model or an MoE on examples whose labels are set."""

    def __init__(
        self, model: Any, tokenizer: Any, examples: Sequence[Example], args: SFTConfig, options: TrainOptions
    ) -> None:
        """Prepare; see `configure` for `args`."""
        self._options = options
        import datasets

        datasets.disable_progress_bars()
        rows = {"input_ids": [e.ids for e in examples], "labels": [e.labels for e in examples]}
        super().__init__(
            model=model, args=args, processing_class=tokenizer, train_dataset=datasets.Dataset.from_dict(rows)
        )
        self.remove_callback(PrinterCallback)
        self.loads: list[torch.Tensor] = []
        """Per layer, how often each routed expert was chosen so far."""
        self.n_tokens = 0
        """Of this process, since the last step."""
        self.report: StepReport | None = None
        """Of the last step."""
        self._figures: dict[str, list[float]] = defaultdict(list)

    def create_optimizer(self, *args: Any) -> Any:
        """Return the optimiser, which takes up a state as it was saved."""
        optimizer: Any = super().create_optimizer(*args)
        load_uncast(optimizer)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return the schedule; transformers' own spends the first step at a rate of 0."""
        if self.lr_scheduler is None:
            rate = partial(share_of_peak, n_steps=num_training_steps, options=self._options)
            chosen: Any = optimizer or self.optimizer
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(chosen, rate)
        return self.lr_scheduler

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return cross-entropy over the window's response tokens, and the mean of its balance losses."""
        mask = inputs.get("attention_mask")
        self.n_tokens += int(inputs["input_ids"].numel() if mask is None else mask.sum())
        core = self.accelerator.unwrap_model(model)
        is_moe = hasattr(core, "recorded_balance")
        # Left before backward(): recomputed layers would be counted twice.
        with core.recorded_balance() if is_moe else nullcontext([]) as records:
            loss = self._cross_entropy(model, inputs, num_items_in_batch)
        passes = self.current_gradient_accumulation_steps
        self._figures["cross_entropy"].append(float(loss.detach()) * passes)
        if not records:
            return loss
        balance = torch.stack([record.loss for record in records]).sum()
        self._note(records, float(balance.detach()))
        return loss + balance.to(loss.dtype) / passes

    def _cross_entropy(self, model: Any, inputs: Any, n_labels: Any) -> Any:
        """Return the cross-entropy of a pass, as a share of the window's.

        TRL's own never holds the logits, which is what a GPU needs, but computes them twice, and of the
        prompts, too: on a CPU that takes more than all layers together.
        """
        core = self.accelerator.unwrap_model(model)
        if not self.padding_free or (
            self.args.device.type != "cpu"
            or "logits_to_keep" not in inspect.signature(type(core).forward).parameters
        ):
            return super().compute_loss(model, inputs, False, n_labels)  # type: ignore[no-untyped-call]
        inputs = dict(inputs)
        labels = inputs.pop("labels")[0, 1:]
        kept = (labels >= 0).nonzero().flatten()
        logits = model(**inputs, use_cache=False, logits_to_keep=kept).logits[0]
        total = functional.cross_entropy(logits.float(), labels[kept], reduction="sum")
        return total * self.accelerator.num_processes / (kept.numel() if n_labels is None else n_labels)

    def _note(self, records: Sequence[Any], balance: float) -> None:
        found = [record.load.detach().float().cpu() for record in records]
        self.loads = [a + b for a, b in zip(self.loads, found, strict=True)] if self.loads else found
        self._figures["balance_loss"].append(balance)
        self._figures["busiest"].append(max(float(load.max() / load.mean()) for load in found))
        self._figures["router_entropy"].append(
            sum(float(record.entropy) for record in records) / len(records)
        )

    def _save_checkpoint(self, *args: Any) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: If it can't be written.
        """
        with named_failures(Path(str(self.args.output_dir))):
            super()._save_checkpoint(*args)  # type: ignore[no-untyped-call]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Keep the step's report beside what the trainer logs."""
        if self.report is not None and "loss" in logs:
            logs |= asdict(self.report)
        super().log(logs, start_time)

    def figures(self) -> dict[str, float]:
        """Return the means since the last call, over all processes; each of them must call it."""
        names = list(self._figures)
        means = torch.tensor([sum(values) / len(values) for values in self._figures.values()])
        self._figures.clear()
        means = self.accelerator.reduce(means.to(self.args.device), "mean")
        return dict(zip(names, means.tolist(), strict=True))

    def over_processes(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes; each of them must call it."""
        total: torch.Tensor = self.accelerator.reduce(values.to(self.args.device), "sum")
        return total

    def total_loads(self) -> list[list[float]]:
        """Return, per layer, how often each routed expert was chosen by all processes together."""
        total: list[list[float]] = self.over_processes(torch.stack(self.loads)).tolist() if self.loads else []
        return total

    def loads_of_processes(self) -> list[list[list[float]]]:
        """Return the loads of each process, once all of them have called it."""
        loads: list[list[list[float]]] = gather_object([[load.tolist() for load in self.loads]])
        return loads


def load_uncast(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimiser keep the dtypes of a state that it loads.

    torch casts what it loads to the dtype of the parameters. Adafactor's averages are fp32 whatever the
    parameters are, so a run in bf16 would go on from rounded ones.
    """
    saved: dict[str, Any] = {}

    def before(_: Any, state: dict[str, Any]) -> None:
        saved.update(state)

    def after(_: Any) -> None:
        numbers = [number for group in saved["param_groups"] for number in group["params"]]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number, parameter in zip(numbers, parameters, strict=True):
            for name, value in saved["state"].get(number, {}).items():
                loaded = optimizer.state[parameter][name]
                if isinstance(value, torch.Tensor) and value.dtype != loaded.dtype:
                    optimizer.state[parameter][name] = value.to(loaded.device)
        saved.clear()

    optimizer.register_load_state_dict_pre_hook(before)
    optimizer.register_load_state_dict_post_hook(after)


def share_of_peak(step: int, n_steps: int, options: TrainOptions) -> float:
    """Return the share of the peak learning rate at a step, from 0."""
    warmup = max(1, round(options.warmup * n_steps))
    if step < warmup:
        return (step + 1) / warmup
    left = (n_steps - step) / max(1, n_steps - warmup + 1)
    return left if options.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left))


def keeps_rows_apart(model: Any) -> bool:
    """Whether rows that stand in one sequence, told apart by their positions only, don't see each other.

    Most models of transformers make their masks so; those that don't would train on a mixture, without an
    error. Found by trying it: names and versions don't tell. In fp32, matches differ by about 1e-6 of the
    largest logit, and what leaks through the state of a fresh model by as little as 4e-5; bf16 tells 2 %.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    ids = (torch.arange(1, 17, device=model.device) * 7 % vocabulary).view(2, 8)
    positions = torch.arange(8, device=model.device).repeat(2)[None]
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()
            together = model(input_ids=ids.view(1, -1), position_ids=positions, use_cache=False).logits
            second = model(input_ids=ids[1:], use_cache=False).logits
    except TypeError:  # no position_ids
        return False
    finally:
        model.train(was_training)
    scale = float(second.abs().max())
    tolerance = 1e-5 if second.dtype == torch.float32 else 0.02
    return float((together[:, 8:] - second).abs().max()) <= tolerance * scale


def configure(options: TrainOptions, directory: Path, rows_apart: bool) -> SFTConfig:
    """Return the trainer's settings; everything about reporting and saving is `Watch`'s.

    Raises:
        UsageProblem: If packing is asked for, of a model that can't keep rows apart.
    """
    if options.packing and not rows_apart:
        raise UsageProblem(
            "this model would let packed rows see each other", hint="train it with --no-packing"
        )
    return SFTConfig(
        output_dir=str(directory),
        num_train_epochs=options.epochs,
        max_steps=options.steps or -1,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulate,
        learning_rate=options.lr,
        optim={"adamw": "adamw_torch_fused", "adafactor": "adafactor"}[options.optimizer],
        weight_decay=0.0,
        max_grad_norm=0.0,  # `Watch` clips, after it has looked at the norms
        bf16=options.compute == "bf16",
        gradient_checkpointing=options.checkpoint_activations,
        # Reentrant checkpointing would drop the gradient of the balance loss.
        gradient_checkpointing_kwargs={"use_reentrant": False},
        torch_compile=options.compile,
        seed=options.seed,
        data_seed=options.seed,
        # Rows of a pass stand in one sequence, whether packed or not: no padding to compute, or to balance.
        padding_free=rows_apart,
        max_length=options.max_tokens if options.packing else None,
        packing=options.packing,
        packing_strategy="bfd",
        ddp_find_unused_parameters=False,
        save_strategy="no",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )


class Watch(TrainerCallback):
    """Looks at each step: refuses what is not finite, clips, reports, and says when to save."""

    def __init__(self, trainer: XftTrainer, clip: float) -> None:
        self._trainer, self._clip = trainer, clip
        self.every_s = math.inf
        """How often the state is kept."""
        self.on_step: OnStep | None = None
        self._norms: dict[str, float] = {}
        self._saved_at = self._stepped_at = time.monotonic()
        self.n_tokens = 0
        """Of all processes, those before an interruption included."""
        self.seconds = 0.0
        """Spent on steps, those before an interruption included."""
        self.must_stop = False
        """Set from outside to save and stop after the step that is under way."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clocks: loading and compiling are not part of a step."""
        self._saved_at = self._stepped_at = time.monotonic()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure the gradients, and clip them.

        Raises:
            TrainingError: If they are not finite; the weights are still those before the step.
        """
        model: Any = self._trainer.model
        self._norms = grad_norms(model)
        total = math.sqrt(sum(norm**2 for norm in self._norms.values()))
        if not math.isfinite(total):
            last = last_checkpoint(Path(args.output_dir))
            where = f"the last good state is {last}" if last else "there is no earlier state"
            loss = self._trainer.figures().get("cross_entropy", math.nan)
            raise TrainingError(
                f"the loss is {loss} and the gradient norm {total} at step {state.global_step + 1}; {where}",
                hint="pass a smaller --lr, or look at the data",
            )
        if self._clip:
            self._trainer.accelerator.clip_grad_norm_(model.parameters(), self._clip)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the step; save if it is time."""
        now = time.monotonic()
        seconds, self._stepped_at = now - self._stepped_at, now
        self.seconds += seconds
        tokens = int(self._trainer.over_processes(torch.tensor(self._trainer.n_tokens)))
        self._trainer.n_tokens = 0
        self.n_tokens += tokens
        figures = self._trainer.figures()
        self._trainer.report = StepReport(
            step=state.global_step,
            n_steps=state.max_steps,
            loss=figures["cross_entropy"],
            balance_loss=figures.get("balance_loss", 0.0),
            busiest=figures.get("busiest", 0.0),
            router_entropy=figures.get("router_entropy", 0.0),
            grad_norm=math.sqrt(sum(norm**2 for norm in self._norms.values())),
            grad_norms=self._norms,
            tokens_per_s=tokens / seconds,
        )
        if self.on_step and state.is_world_process_zero:
            self.on_step(self._trainer.report)
        # Each process has a clock, and hears signals, of its own: one that saves alone waits for ever.
        votes = torch.tensor([self.must_stop, now - self._saved_at >= self.every_s]).int()
        stops, saves = self._trainer.over_processes(votes).tolist()
        self.must_stop = self.must_stop or stops > 0
        if state.global_step < state.max_steps and (stops or saves):
            control.should_save = True
            control.should_training_stop = control.should_training_stop or stops > 0

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint as whole, once every process has written its part."""
        loads = self._trainer.loads_of_processes()
        if state.is_world_process_zero:
            marker = Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE
            kept = {"loads": loads, "n_tokens": self.n_tokens, "seconds": self.seconds}
            write_text_atomically(marker, json.dumps(kept))
        self._saved_at = self._stepped_at = time.monotonic()

    def restore(self, checkpoint: Path) -> None:
        """Take up what the trainer's own checkpoint does not hold."""
        kept = json.loads((checkpoint / COMPLETE).read_text(encoding="utf-8"))
        loads = kept["loads"][self._trainer.accelerator.process_index]
        self._trainer.loads = [torch.tensor(load) for load in loads]
        self.n_tokens, self.seconds = kept["n_tokens"], kept["seconds"]


class ExpertAveraging(TrainerCallback):
    """EWA: after each step, W_i ← (1 - β) W_i + β / (N - 1) · Σ_{j≠i} W_j; the experts' mean stays.

    Source: arXiv 2308.06093. The share rate that XFT's authors used for this baseline, and whether they
    changed it on the way, is not published: here it is constant.
    """

    def __init__(self, model: Any, share_rate: float) -> None:
        self._stacks = [
            parameter for name, parameter in model.named_parameters() if _GROUPS[1][1].search(name)
        ]
        self._share_rate = share_rate

    @torch.no_grad()
    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Average."""
        for stack in self._stacks:
            n = stack.shape[0]
            stack.lerp_(stack.mean(0, keepdim=True), self._share_rate * n / (n - 1))


_GROUPS = (
    ("router", re.compile(r"\.router\.")),
    ("experts", re.compile(r"\.(experts|branches)\.")),
    ("attention", re.compile(r"attn|attention")),
    ("mlps", re.compile(r"\.(mlp|feed_forward|ffn)\.")),
)


def grad_norms(model: Any) -> dict[str, float]:
    """Return the norm of the gradients per group of parameters; of an MoE's experts, the shared one apart."""
    norms: dict[str, list[torch.Tensor]] = defaultdict(list)
    has_shared = getattr(model.config, "xft_routing", "").startswith("xft")
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        gradient = parameter.grad.detach()
        group = next((group for group, pattern in _GROUPS if pattern.search(name)), "rest")
        # FSDP's shards are not cut by expert, so there the experts stay together.
        is_sharded = hasattr(gradient, "full_tensor")
        if group == "experts" and has_shared and not is_sharded:
            norms["shared expert"].append(torch.linalg.vector_norm(gradient[0], dtype=torch.float32))
            norms["routed experts"].append(torch.linalg.vector_norm(gradient[1:], dtype=torch.float32))
        else:
            norm: Any = torch.linalg.vector_norm(gradient, dtype=torch.float32)
            norms[group].append(norm.full_tensor() if is_sharded else norm)
    return {group: float(torch.linalg.vector_norm(torch.stack(parts))) for group, parts in norms.items()}
