"""What a worker's zygote is: an interpreter, what it sees, and what it has imported before it forks."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from xftbench.execution import offline_data, view
from xftbench.execution.environments import Environment
from xftbench.execution.view import View

_PRELOADED = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random", "re",
    "string", "typing",
)  # fmt: skip
"""What solutions import most. Each module more makes every fork dearer; the rest of the standard library is
imported by those that want it."""
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_ONE_THREAD = dict.fromkeys(_THREADS, "1")
_TENSORFLOW_LINKS = (("/proc/self/exe", "/nowhere"), ("/proc/self/maps", "/dev/null"))
"""TensorFlow aborts without the first; where there is a /proc, threadpoolctl wants the second."""
_VARIABLES = {"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """How a zygote is started."""

    executable: str
    view: View
    preload: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=lambda: _VARIABLES | _ONE_THREAD)
    """Environment variables, from before the first import on."""
    has_scratch: bool = False
    """Whether the zygote has a writable /tmp while it imports."""
    arenas: int = 0
    """How much memory its imports fill with objects, in pymalloc's arenas of 1 MiB; worth telling if it is
    much, see `inside.heap`."""


def own(seen: View | None = None) -> Interpreter:
    """Return the harness's own interpreter, and what it sees if that is not what functions need."""
    executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    return Interpreter(executable=executable, view=seen or view.plan(), preload=_PRELOADED)


def of_environment(environment: Environment, preload: tuple[str, ...], arenas: int) -> Interpreter:
    """Return an environment's interpreter with some modules imported, which fill so many arenas."""
    quiet = {"MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    # What joblib does with n_jobs is done one after another: its processes need an interpreter to start.
    alone = {"JOBLIB_MULTIPROCESSING": "0"}
    named = {"LOGNAME": "nobody", "USER": "nobody"}  # there is no /etc/passwd to look a name up in
    variables = _VARIABLES | _ONE_THREAD | quiet | alone | named | offline_data.variables(environment)
    return Interpreter(
        executable=os.path.realpath(environment.executable),
        view=view.plan_environment(environment, _TENSORFLOW_LINKS if "tensorflow" in preload else ()),
        preload=preload,
        variables=variables,
        has_scratch=True,
        arenas=arenas,
    )
