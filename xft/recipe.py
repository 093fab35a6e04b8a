"""A recipe: what a TOML file asks for, checked as a whole before anything is made.

Source: the order of the work is that of arXiv 2404.15247; the SFT control has as many epochs as tuning the
MoE and learning its mixing together, as there.
"""

import dataclasses
import difflib
import importlib.resources
import tomllib
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from xft.coefficients import Rule
from xft.config import MoeConfig
from xft.errors import UsageProblem

_T = TypeVar("_T")
_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Seed = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class DataPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[data]``."""

    source: str
    """A JSON Lines file (relative to the recipe), a hub data set, or ``stdlib``."""
    style: Literal["magicoder", "chat", "raw"] = "magicoder"
    """How an instruction is worded."""
    max_tokens: _Positive = 1024
    """Longer rows are left out."""
    rows: _Positive | None = None
    """How many rows to draw, by the seed; all if not given."""
    held_out: Annotated[float, msgspec.Meta(gt=0)] = 0.05
    """Rows that no stage trains on: a share below 1, or a number."""
    clean_of: tuple[str, ...] = ("humaneval",)
    """Suites, or JSON Lines files of problems, that the rows must not overlap with."""

    def __post_init__(self) -> None:
        if self.held_out == inf:
            raise ValueError("the number of rows held out is inf")


class BudgetPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[budget]``: passes over the data."""

    moe_epochs: float = 4.0
    mixing_epochs: float = 1.0
    flop_matched_sft: bool = False
    """Make a second control that spends the FLOPs of both other stages, not their epochs."""

    def __post_init__(self) -> None:
        if not (0 < self.moe_epochs < inf and 0 < self.mixing_epochs < inf):
            raise ValueError("epochs must be positive")


class MergePart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[merge]``."""

    rules: tuple[Rule, ...] = ("learned",)
    """``learned`` becomes the checkpoint ``xft``, another rule ``xft-RULE``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe, resolved and valid."""

    base: str
    """A checkpoint directory (relative to the recipe), a hub id, or ``smollm2``."""
    seed: int
    folder: Path
    """Where relative paths start."""
    data: DataPart
    budget: BudgetPart
    moe: MoeConfig
    sft: Mapping[str, Any]
    """Options of `xft.train.TrainOptions`; data, epochs and seed are set elsewhere."""
    train: Mapping[str, Any]
    mixing: Mapping[str, Any]
    """Options of `xft.learn.LearnOptions`, likewise."""
    merge: MergePart


def builtin() -> list[str]:
    """Return the names of the recipes that come with xft."""
    folder = importlib.resources.files("xft") / "recipes"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def read_recipe(ref: str) -> Recipe:
    """Read a recipe from a TOML file, or one that comes with xft by its name.

    Raises:
        UsageProblem: If there is none, or a value is unknown or out of range; the message names the table.
    """
    if ref in builtin():
        text = (importlib.resources.files("xft") / "recipes" / f"{ref}.toml").read_text(encoding="utf-8")
        return parse(text, f"recipe {ref}", Path.cwd())
    path = Path(ref)
    try:
        return parse(path.read_text(encoding="utf-8"), ref, path.parent)
    except (OSError, UnicodeDecodeError) as error:
        names = ", ".join(builtin())
        raise UsageProblem(
            f"can't read the recipe {ref}: {error}", hint=f"a recipe is a TOML file, or one of: {names}"
        ) from error


def parse(text: str, where: str, folder: Path) -> Recipe:
    """Build a recipe from TOML; raises like `read_recipe`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"{where} is not TOML: {error}") from error
    known = [field.name for field in dataclasses.fields(Recipe) if field.name != "folder"]
    _refuse_unknown(tables, known, where)
    missing = [name for name in ("base", "data") if name not in tables]
    if missing:
        raise UsageProblem(f"{where} has no {missing[0]}", hint="base = … and [data] source = … are required")
    from xft.learn import LearnOptions
    from xft.training import TrainOptions

    return Recipe(
        base=_convert(tables["base"], str, f"{where}, base"),
        seed=_convert(tables.get("seed", 42), _Seed, f"{where}, seed"),
        folder=folder,
        data=_convert(tables["data"], DataPart, f"{where}, [data]"),
        budget=_convert(tables.get("budget", {}), BudgetPart, f"{where}, [budget]"),
        moe=_options(tables.get("moe", {}), MoeConfig, (), f"{where}, [moe]"),
        sft=_checked(tables.get("sft", {}), TrainOptions, f"{where}, [sft]"),
        train=_checked(tables.get("train", {}), TrainOptions, f"{where}, [train]"),
        mixing=_checked(tables.get("mixing", {}), LearnOptions, f"{where}, [mixing]"),
        merge=_convert(tables.get("merge", {}), MergePart, f"{where}, [merge]"),
    )


_SET_ELSEWHERE = {
    "epochs": "[budget]", "steps": "[budget]", "style": "[data] style", "max_tokens": "[data] max_tokens",
    "held_out": "[data] held_out", "seed": "seed, at the top",
}  # fmt: skip


def _checked(table: object, options: type[Any], where: str) -> dict[str, Any]:
    """Return a table after a trial: its keys are fields of `options`, and its values are valid."""
    _options(table, options, tuple(_SET_ELSEWHERE), where)
    assert isinstance(table, dict)
    return table


def _options(table: object, options: type[_T], elsewhere: tuple[str, ...], where: str) -> _T:
    if not isinstance(table, dict):
        raise UsageProblem(f"{where} is {table!r}, expected a table")
    for name in elsewhere:
        if name in table:
            raise UsageProblem(f"{where}: {name} is set elsewhere", hint=f"give it as {_SET_ELSEWHERE[name]}")
    fields = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    _refuse_unknown(table, [name for name in fields if name not in elsewhere], where)
    try:
        converted: _T = _convert(table, options, where)
    except UsageProblem as error:
        raise UsageProblem(f"{where}: {error.message.removeprefix(f'{where}: ')}", hint=error.hint) from error
    return converted


def _convert(value: object, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageProblem(f"{where}: {error}") from error


def _refuse_unknown(table: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            suggestion = f"did you mean {near[0]}?  " if near else ""
            raise UsageProblem(
                f"{where}: unknown key {name!r}", hint=f"{suggestion}known: {', '.join(known)}"
            )
