"""From a recipe to its stages: the whole line, from a base to the checkpoints that are compared.

base → data ─→ sft                      the control: as many epochs as both other stages together
             → sft-flops                optional: as many FLOPs instead
             → upcycled → moe → mixing → xft, xft-uniform, …
"""

import dataclasses
import hashlib
import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from xft import embedded
from xft.checkpoint import ROUTING_FILE, Writing, open_checkpoint, read_json
from xft.coefficients import DEFAULT_SHARED_WEIGHT, Rule
from xft.data import read_rows, split, write_rows
from xft.decontaminate import decontaminate, read_problems
from xft.errors import CheckpointError, DataError
from xft.flops import token_flops
from xft.lineage import content_hash
from xft.merge import MergeOptions, merge
from xft.output import new_directory, write_json_atomically
from xft.recipe import Recipe
from xft.stages import Stage
from xft.upcycle import upcycle


class Show(Protocol):
    """Where progress goes."""

    def training(self) -> AbstractContextManager[Callable[[Any], None]]:
        """Give a callback for `xft.training.trainer.StepReport`."""

    def mixing(self, step: int, n_steps: int, loss: float) -> None:
        """Show a step of learning the mixing."""


def resolve_base(ref: str, folder: Path) -> Path:
    """Return the directory of a recipe's base; convert or download it if need be.

    Raises:
        CheckpointError: If there is none.
    """
    if ref == "smollm2":
        return embedded.prepare(embedded.default_cache())
    path = (folder / Path(ref).expanduser()).resolve()
    if path.is_dir():
        return path
    if ref.count("/") != 1 or ref.startswith((".", "~", "/")):
        raise CheckpointError(
            f"no checkpoint directory {path}", hint="base is a directory, a hub id (org/name) or smollm2"
        )
    from huggingface_hub import snapshot_download

    repo, _, revision = ref.partition("@")
    try:
        return Path(
            snapshot_download(repo, revision=revision or None, ignore_patterns=["*.bin", "*.gguf", "*/*"])
        )
    except Exception as error:  # network, authorisation, spelling: whatever the hub's client raises
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path} is no directory, and the hub does not give out {ref}: {first}",
            hint="download it, and give its directory as base",
        ) from error


class Line:
    """The stages of one recipe in one output directory."""

    def __init__(self, recipe: Recipe, out: Path, writing: Writing, show: Show) -> None:
        """Resolve the base; nothing is made yet.

        Raises:
            CheckpointError: If the base is missing, truncated or an MoE already.
            ArchitectureError: If it can't be upcycled.
        """
        self._recipe, self._out, self._show, self._writing = recipe, out, show, writing
        self.base = open_checkpoint(resolve_base(recipe.base, recipe.folder))
        self.base.require_dense("a recipe")
        self._base_hash = content_hash(self.base, writing.full_hash)
        self._flops = token_flops(self.base, recipe.moe)

    def stages(self) -> list[Stage]:
        """Return all stages, each after those that it is made from."""
        budget = self._recipe.budget
        data = self._data()
        upcycled = self._upcycled()
        moe = self._tuned("moe", budget.moe_epochs, self._recipe.train, data, upcycled)
        mixing = self._mixing(moe, data)
        controls = [self._tuned("sft", budget.moe_epochs + budget.mixing_epochs, self._recipe.sft, data)]
        if budget.flop_matched_sft:
            flops = budget.moe_epochs * self._flops.moe + budget.mixing_epochs * self._flops.mixing
            epochs = round(flops / self._flops.sft, 3)
            controls.append(self._tuned("sft-flops", epochs, self._recipe.sft, data))
        merged = [self._merged(rule, moe, mixing) for rule in self._recipe.merge.rules]
        return [data, *controls, upcycled, moe, mixing, *merged]

    def checkpoints(self, stages: list[Stage]) -> dict[str, Path]:
        """Return what there is to compare: name → directory."""
        return {"base": self.base.directory} | {stage.name: stage.target for stage in stages if stage.is_goal}

    def _data(self) -> Stage:
        part, seed = self._recipe.data, self._recipe.seed
        target = self._out / "data"
        source = self._source()

        def make(replace: bool) -> str:
            rows, report = decontaminate(read_rows(source), read_problems(part.clean_of))
            if not rows:
                raise DataError(f"no row of {source} is left after decontamination")
            training, held_out = split(rows, part.held_out, seed)
            training = training[: part.rows]
            with new_directory(target, replace) as directory:
                write_rows(directory / "train.jsonl", training)
                write_rows(directory / "held_out.jsonl", held_out)
                (directory / "contamination.json").write_text(report.to_json(), encoding="utf-8")
            return f"{len(training)} rows to train on, {len(held_out)} held out; {report}"

        clean_of = ", ".join(part.clean_of) or "nothing"
        about = f"draw {part.rows or 'all'} rows of {part.source} that don't overlap with {clean_of}"
        asked = {
            "source": part.source, "source_version": _version(source), "rows": part.rows,
            "held_out": part.held_out, "clean_of": list(part.clean_of), "seed": seed,
        }  # fmt: skip
        return Stage(name="data", about=about, target=target, asked=asked, is_goal=False, make=make)

    def _source(self) -> str:
        """Return where the rows come from, with a path made absolute: it is relative to the recipe."""
        path = self._recipe.folder / Path(self._recipe.data.source).expanduser()
        return str(path.resolve()) if path.exists() else self._recipe.data.source

    def _upcycled(self) -> Stage:
        recipe, target = self._recipe, self._out / "upcycled"

        def make(replace: bool) -> str:
            writing = dataclasses.replace(self._writing, overwrite=replace)
            layout = upcycle(self.base.directory, target, recipe.moe, seed=recipe.seed, writing=writing)
            return f"{layout.n_layers} layers, {recipe.moe.num_experts} experts each"

        return Stage(
            name="upcycled", about="copy every MLP of the base into experts", target=target, is_goal=False,
            asked={"base": self._base_hash, "moe": recipe.moe.to_json(), "seed": recipe.seed}, make=make,
        )  # fmt: skip

    def _tuned(
        self, name: str, epochs: float, options: Mapping[str, Any], data: Stage, source: Stage | None = None
    ) -> Stage:
        from xft.training import TrainOptions, train
        from xft.training.state import state_of

        recipe, target = self._recipe, self._out / name
        chosen = TrainOptions(
            **options, epochs=epochs, seed=recipe.seed, style=recipe.data.style,
            max_tokens=recipe.data.max_tokens,
        )  # fmt: skip
        start = source.target if source else self.base.directory

        def make(replace: bool) -> str:
            writing = dataclasses.replace(self._writing, overwrite=replace)
            with self._show.training() as on_step:
                return train(
                    start, data.target / "train.jsonl", target, chosen, writing=writing, on_step=on_step
                )

        asked = dataclasses.asdict(chosen) | ({} if source else {"base": self._base_hash})
        parents = (data, source) if source else (data,)
        about = f"tune {source.name if source else 'the base'} for {epochs:g} epochs"
        return Stage(
            name=name, about=about, target=target, asked=asked, parents=parents, scratch=(state_of(target),),
            make=make,
        )  # fmt: skip

    def _mixing(self, moe: Stage, data: Stage) -> Stage:
        from xft.learn import Kept, LearnOptions, learn_mixing
        from xft.mixing import to_record

        part, target = self._recipe.data, self._out / "mixing.json"
        chosen = LearnOptions(
            **self._recipe.mixing, epochs=self._recipe.budget.mixing_epochs, seed=self._recipe.seed,
            max_tokens=part.max_tokens,
        )  # fmt: skip
        state = self._out / ".mixing.state"

        def make(replace: bool) -> str:
            mixed, report = learn_mixing(
                moe.target, data.target / "train.jsonl", chosen, part.style,
                held_out_data=data.target / "held_out.jsonl", state=Kept(state, replace),
                on_step=self._show.mixing,
            )  # fmt: skip
            record = msgspec.to_builtins(to_record(mixed, report.cost))
            write_json_atomically(self._out / "mixing_report.json", dataclasses.asdict(report))
            write_json_atomically(target, record)
            state.unlink(missing_ok=True)
            moved = max(layer["largest_change"] for layer in report.layers)
            return f"shares moved by up to {moved:.1%}; {report.verdict()}"

        asked = dataclasses.asdict(chosen) | {"style": part.style}
        about = f"learn the mixing for {self._recipe.budget.mixing_epochs:g} epochs"
        return Stage(
            name="mixing",
            about=about,
            target=target,
            asked=asked,
            parents=(data, moe),
            scratch=(state, state.with_name(f"{state.name}.tmp")),
            is_goal=False,
            make=make,
        )

    def _merged(self, rule: Rule, moe: Stage, mixing: Stage) -> Stage:
        name = "xft" if rule == "learned" else f"xft-{rule}"
        target = self._out / name
        # An ablation of the learned shares: the λ that those began with.
        weight = self._recipe.mixing.get("shared_weight", DEFAULT_SHARED_WEIGHT)

        def make(replace: bool) -> str:
            writing = dataclasses.replace(self._writing, overwrite=replace)
            options = MergeOptions(
                rule=rule, mixing=mixing.target, counts=_routing_counts(moe.target), shared_weight=weight
            )
            merge(moe.target, target, options, writing=writing)
            return f"merged by the rule {rule}"

        parents = (moe, mixing) if rule == "learned" else (moe,)
        asked = {"rule": rule} | ({"shared_weight": weight} if rule in {"uniform", "frequency"} else {})
        return Stage(
            name=name, about=f"merge the experts by the rule {rule}", target=target,
            asked=asked, parents=parents, make=make,
        )  # fmt: skip


def _routing_counts(moe: Path) -> Any:
    """Return how often each routed expert was chosen in training, for the rule ``frequency``."""
    return read_json(moe / ROUTING_FILE)["counts"]


def _version(source: str) -> str:
    """Return what tells one state of a source from another."""
    path = Path(source)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return f"Python {platform.python_version()}" if source == "stdlib" else source
