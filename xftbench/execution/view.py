"""The file system that a jailed interpreter sees: a list of what is let in, empty otherwise.

No home, no project, no /usr/bin, no /proc, and every directory of installed packages is masked, because
benchmarks ship their answers as packages. What a solution may import besides the standard library is bound
one by one at a directory of its own.
"""

import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from xftbench.execution.environments import Environment

LIBRARY_ROOT = "/site"
"""Where the allowed libraries stand inside the jail."""
ALLOWED_LIBRARIES = ("numpy",)
"""Third-party packages that solutions may import, if the harness has them."""
_SYSTEM = ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present")
"""What torch reads to choose its kernels: without it takes others, which round otherwise, and has no half."""
_MASKED = ("*-packages", "python*/*-packages", "pypy*/*-packages")


class View(TypedDict):
    """What `inside.jail` builds; paths are as the harness sees them."""

    directories: list[tuple[str, str]]
    """(source, path inside), bound read-only."""
    files: list[str]
    links: list[tuple[str, str]]
    """(path inside, target)"""
    masks: list[str]
    """Directories inside that are covered with an empty one."""
    library_root: str
    proc: bool
    """Whether there is a /proc, of only the program's own processes."""
    asks_proc: bool
    """Whether programs may look into /proc where it is the machine's: some libraries fail if they may not."""


def empty(*, proc: bool) -> View:
    """Return a view of nothing, or of nothing but a /proc."""
    return View(
        directories=[], files=[], links=[], masks=[], library_root=LIBRARY_ROOT, proc=proc, asks_proc=proc
    )


def plan() -> View:
    """Return the view for this machine and this interpreter."""
    view = _plan(interpreter())
    for source in _libraries():
        view["directories"].append((str(source), f"{LIBRARY_ROOT}/{source.name}"))
    return view


def plan_environment(environment: Environment, links: Sequence[tuple[str, str]] = ()) -> View:
    """Return the view for an environment's interpreter: all of its packages and its data sets."""
    view = _plan(_linked(environment.base_prefix, environment.stdlib))
    view["links"] += links
    view["asks_proc"] = True
    view["files"] += [name for name in _PROCESSOR if Path(name).exists()]
    view["directories"].append((str(environment.site), LIBRARY_ROOT))
    if environment.data.is_dir():
        view["directories"].append((str(environment.data), str(environment.data)))
    return view


def _plan(interpreter: Sequence[Path]) -> View:
    view = empty(proc=False)
    view["links"].append(("/dev/shm", "/tmp"))  # the jail's; POSIX semaphores live in it
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            view["links"].append((name, str(path.readlink())))
        elif path.is_dir():
            let_in(view, path)
    for path in interpreter:
        if not any(path.is_relative_to(root) for _, root in view["directories"]):
            let_in(view, path)
    view["files"] += [name for name in (*DEVICES, "/etc/ld.so.cache") if Path(name).exists()]
    return view


def let_in(view: View, path: Path) -> None:
    """Add a directory, with the packages in it masked."""
    view["directories"].append((str(path), str(path)))
    for pattern in _MASKED:
        view["masks"] += [str(found) for found in sorted(path.glob(pattern)) if found.is_dir()]


def interpreter() -> list[Path]:
    """Return the directories of the standard library and of what its extension modules link with."""
    paths = sysconfig.get_paths(vars={"base": sys.base_prefix, "platbase": sys.base_exec_prefix})
    return _linked(Path(sys.base_prefix), [Path(paths["stdlib"]), Path(paths["platstdlib"])])


def _linked(prefix: Path, stdlib: Sequence[Path]) -> list[Path]:
    shared = [] if prefix == Path("/usr") else [prefix / "lib", prefix / "lib64"]
    return [path for path in (*shared, *stdlib) if path.is_dir()]


def _libraries() -> list[Path]:
    found = []
    for name in ALLOWED_LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            package = Path(spec.submodule_search_locations[0]).resolve()
            found += [path for path in (package, package.with_name(f"{name}.libs")) if path.is_dir()]
    return found
