"""Copies of a worker's zygote that have imported more: what the contexts of some programs import first.

A context imports modules before anything else runs, and importing those of scikit-learn takes longer than
most programs do. They can't be the zygote's: another program that forgot to import them would find them.
"""

import ast
from collections.abc import Sequence
from functools import lru_cache

from xftbench.execution.inside.channel import Control
from xftbench.execution.worker import Worker

_MOST = 8  # they share nearly all of their memory

Modules = tuple[str, ...]


class Nurseries:
    """Those of one worker.

    Args:
        worker: Whose zygote they are copied from.
        preload: What that has imported.
    """

    def __init__(self, worker: Worker, preload: Sequence[str]) -> None:
        self._worker = worker
        self._loaded = {
            name.rsplit(".", depth)[0] for name in preload for depth in range(name.count(".") + 1)
        }
        self._open: dict[Modules, Control] = {}
        """The one that was used last comes last."""
        self._deadly: set[Modules] = set()
        """What no interpreter survives importing: that is left to the program."""

    def forker(self, context: str) -> Control:
        """Return the connection to what forks for a context: a nursery, or the zygote where none is needed.

        Raises:
            WorkerLostError: If a new one does not start.
        """
        modules = tuple(name for name in _imported(context) if name not in self._loaded)
        if not modules or modules in self._deadly or not self._worker.is_jailed:
            return self._worker.control
        nursery = self._open.pop(modules, None)
        if nursery is None:
            if len(self._open) == _MOST:
                self._worker.end_nursery(self._open.pop(next(iter(self._open))))
            nursery = self._worker.start_nursery(modules)
        if nursery is None:
            self._deadly.add(modules)
            return self._worker.control
        self._open[modules] = nursery
        return nursery

    def close(self) -> None:
        """Hang up on all, when the worker is dead."""
        for nursery in self._open.values():
            nursery.close()
        self._open.clear()


@lru_cache(maxsize=1024)
def _imported(context: str) -> Modules:
    """Return the modules that a context imports whatever happens, in its order."""
    try:
        body = ast.parse(context).body
    except (SyntaxError, ValueError):
        return ()
    found: dict[str, None] = {}
    for statement in body:
        if isinstance(statement, ast.Import):
            found |= dict.fromkeys(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            found[statement.module] = None
    return tuple(found)
