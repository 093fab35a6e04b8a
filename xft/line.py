"""From a recipe to its stages: the whole line, from a base to the checkpoints that are compared.

base → data ─→ sft                      the control: as many epochs as both other stages together
             → sft-flops                optional: as many FLOPs instead
             → upcycled → moe → mixing → xft, xft-uniform, …
"""

import dataclasses
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from xft import embedded
from xft.checkpoint import Writing, open_checkpoint
from xft.coefficients import Rule
from xft.data import read_rows, split, write_rows
from xft.decontaminate import decontaminate, read_problems
from xft.errors import CheckpointError, DataError
from xft.flops import token_flops
from xft.lineage import content_hash
from xft.merge import MergeOptions, merge
from xft.output import new_directory
from xft.recipe import Recipe
from xft.stages import Stage
from xft.upcycle import upcycle

Say = Callable[[str], None]
"""Shows a line of progress."""


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

    def __init__(self, recipe: Recipe, out: Path, writing: Writing, say: Say) -> None:
        """Resolve the base; nothing is made yet.

        Raises:
            CheckpointError: If the base is missing, truncated or an MoE already.
            ArchitectureError: If it can't be upcycled.
        """
        self._recipe, self._out, self._say, self._writing = recipe, out, say, writing
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

        about = f"draw {part.rows or 'all'} rows of {part.source}, without overlaps with {', '.join(part.clean_of)}"
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

        recipe, target = self._recipe, self._out / name
        chosen = TrainOptions(
            **options, epochs=epochs, seed=recipe.seed, style=recipe.data.style,
            max_tokens=recipe.data.max_tokens,
        )  # fmt: skip
        start = source.target if source else self.base.directory

        def make(replace: bool) -> str:
            writing = dataclasses.replace(self._writing, overwrite=replace)
            return train(start, str(data.target / "train.jsonl"), target, chosen, writing=writing)

        asked = dataclasses.asdict(chosen) | ({} if source else {"base": self._base_hash})
        parents = (data, source) if source else (data,)
        about = f"tune {source.name if source else 'the base'} for {epochs:g} epochs"
        return Stage(name=name, about=about, target=target, asked=asked, parents=parents, make=make)

    def _mixing(self, moe: Stage, data: Stage) -> Stage:
        raise NotImplementedError

    def _merged(self, rule: Rule, moe: Stage, mixing: Stage) -> Stage:
        name = "xft" if rule == "learned" else f"xft-{rule}"
        target = self._out / name

        def make(replace: bool) -> str:
            writing = dataclasses.replace(self._writing, overwrite=replace)
            merge(moe.target, target, MergeOptions(rule=rule, mixing=mixing.target), writing=writing)
            return f"merged by the rule {rule}"

        parents = (moe, mixing) if rule == "learned" else (moe,)
        return Stage(
            name=name, about=f"merge the experts by the rule {rule}", target=target,
            asked={"rule": rule}, parents=parents, make=make,
        )  # fmt: skip


def _version(source: str) -> str:
    """Return what tells one state of a source from another."""
    import hashlib

    path = Path(source)
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return f"Python {platform.python_version()}" if source == "stdlib" else source
