"""Stages of long work, each made from others: which are done, and how the rest is made.

Every stage appears whole or not at all. ``recipe.json`` in the output directory records what each was asked
for, before it is begun: a target that is there was made by that, so the same recipe again makes what is
missing, and another one is refused where it differs.
"""

import dataclasses
import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from xft.errors import OutputError
from xft.output import remove, remove_leftovers, write_text_atomically

STATE_FILE = "recipe.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One thing to make."""

    name: str
    about: str
    """What it does, for people."""
    target: Path
    """The file or directory that appears when it is done."""
    asked: Mapping[str, Any]
    """Everything that decides the result but the parents."""
    parents: tuple["Stage", ...] = ()
    scratch: tuple[Path, ...] = ()
    """What is kept while it is being made, to go on after an interruption."""
    is_goal: bool = True
    """Whether it is wanted for itself; others are made only if something that needs them is missing."""
    make: Callable[[bool], str]
    """Makes the target, replacing what was made or begun otherwise if told to; returns a line on what came of
    it."""

    @property
    def key(self) -> str:
        """Hash of all that decides the result."""
        text = json.dumps([self.name, self.asked, [parent.key for parent in self.parents]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Made(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What ``recipe.json`` says of a stage."""

    key: str
    asked: dict[str, Any]
    seconds: float | None = None
    """Of the session that ended it; None while it is being made."""
    result: str | None = None


class _State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    schema: int = 1
    stages: dict[str, Made]


class Workshop:
    """An output directory and what is known of its stages; one process at a time holds it."""

    def __init__(self, directory: Path) -> None:
        """Open the directory, or make it.

        Raises:
            OutputError: If it is in use, can't be written, or its record can't be read.
        """
        self._path = directory / STATE_FILE
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / ".lock").open("a")
        except OSError as error:
            raise OutputError(f"can't write {directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise OutputError(f"{directory} is in use by another xft recipe") from error
        remove_leftovers(self._path)
        self.made = self._read()

    def close(self) -> None:
        """Let others in."""
        self._lock.close()

    def _read(self) -> dict[str, Made]:
        if not self._path.exists():
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_State).stages
        except (OSError, msgspec.DecodeError) as error:
            raise OutputError(f"{self._path} is not a record of xft recipe: {error}") from error

    def is_done(self, stage: Stage) -> bool:
        """Whether a stage's target is there, made by what is asked for now."""
        made = self.made.get(stage.name)
        return made is not None and made.key == stage.key and stage.target.exists()

    def missing(self, stages: Sequence[Stage]) -> list[Stage]:
        """Return what must be made, in order: goals that are not done, and what those need."""
        needed: list[Stage] = []

        def need(stage: Stage) -> None:
            if self.is_done(stage) or stage in needed:
                return
            for parent in stage.parents:
                need(parent)
            needed.append(stage)

        for stage in stages:
            if stage.is_goal:
                need(stage)
        return needed

    def refuse_foreign(self, stages: Sequence[Stage]) -> None:
        """Refuse to replace what was made otherwise.

        Raises:
            OutputError: Naming the first such target and what differs.
        """
        for stage in stages:
            if stage.target.exists():
                made = self.made.get(stage.name)
                what = "was not made by xft recipe" if made is None else _differences(made.asked, stage.asked)
                raise OutputError(
                    f"{stage.target} is there already and {what}",
                    hint="choose another --out, or pass --overwrite to make it again with all that follows",
                )

    def make(self, stage: Stage, replace: bool) -> Made:
        """Make a stage, replacing what was made or begun otherwise if told to, and keep the record."""
        made = self.made[stage.name] = Made(key=stage.key, asked=dict(stage.asked))
        if not stage.target.exists():
            self._write()
        start = time.monotonic()
        made.result = stage.make(replace)
        made.seconds = round(time.monotonic() - start, 1)
        self._write()
        return made

    def tidy(self, stage: Stage) -> None:
        """Remove what a kill, behind the very last step of making a stage, has left of its making."""
        remove_leftovers(stage.target)
        for path in stage.scratch:
            remove(path)

    def _write(self) -> None:
        record = msgspec.json.format(msgspec.json.encode(_State(stages=self.made)), indent=2)
        write_text_atomically(self._path, record.decode() + "\n")


def _differences(made: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    changed = [f"{name} {_short(old)} (now {_short(new)})" for name, old, new in changes(made, asked)]
    return "was made with " + "; ".join(changed) if changed else "what it is made from has changed"


def changes(
    made: Mapping[str, Any], asked: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (dotted name, old, new) for every leaf in which two nested settings differ."""
    for name in {**made, **asked}:
        old, new = made.get(name), asked.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from changes(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}", old, new


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 24 else f"{text[:12]}…"
