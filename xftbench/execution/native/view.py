"""What a program in another language sees: the system's programs and libraries, and the toolchains' folders.

No home, no project, no data; installed Python packages are masked, because benchmarks ship answers as
packages.
"""

from contextlib import suppress
from pathlib import Path

from xftbench.execution import view
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.toolchains import Toolchain, cache_directory, find_toolchain
from xftbench.places import home

CACHE_INSIDE = "/cache"
"""Where `cache_directory()` stands inside."""
_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "alternatives", "java-*-openjdk", "mono", "php", "R", "ldc2.conf", "racket", "ghc", "ld.so.cache", "perl",
)  # fmt: skip
_STATE = ("/var/lib/ghc",)
_STREAMS = (("/dev/fd", "fd"), ("/dev/stdin", "fd/0"), ("/dev/stdout", "fd/1"), ("/dev/stderr", "fd/2"))
_MASKED = ("lib/python3*/*-packages", "local/lib/python3*/*-packages", "lib/pypy*/*-packages")


def plan() -> view.View:
    """Return the view for this machine and the toolchains found on it."""
    seen = view.empty(proc=True)
    seen["links"] += [("/dev/shm", "/tmp"), *((path, f"/proc/self/{target}") for path, target in _STREAMS)]
    seen["directories"].append(("/usr", "/usr"))
    for pattern in _MASKED:
        seen["masks"] += [str(path) for path in sorted(Path("/usr").glob(pattern)) if path.is_dir()]
    for name in _TOP:
        path = Path(name)
        if path.is_symlink():
            seen["links"].append((name, str(path.readlink())))
        elif path.is_dir():
            seen["directories"].append((name, name))
    for path in (*view.interpreter(), *_toolchain_roots()):
        if not any(path.is_relative_to(root) for _, root in seen["directories"]):
            view.let_in(seen, path)
    settings = [path for pattern in _SETTINGS for path in sorted(Path("/etc").glob(pattern))]
    for path in (*settings, *map(Path, _STATE)):
        if path.is_dir():
            seen["directories"].append((str(path), str(path)))
        elif path.is_file():
            seen["files"].append(str(path))
    seen["files"] += [name for name in view.DEVICES if Path(name).exists()]
    cache = cache_directory()
    with suppress(OSError):  # without it, nothing is prepared, and programs take longer
        cache.mkdir(parents=True, exist_ok=True)
        seen["directories"].append((str(cache), CACHE_INSIDE))
    return seen


def inside(path: str) -> str:
    """Return where a path of this machine stands inside the jail."""
    cache = cache_directory().resolve()
    return f"{CACHE_INSIDE}/{Path(path).relative_to(cache)}" if Path(path).is_relative_to(cache) else path


def _toolchain_roots() -> list[Path]:
    """Return the folders of tools that stand elsewhere than in /usr: what holds their bin, or their own."""
    roots, too_much = set(), _not_toolchains()
    for name in LANGUAGES:
        found = find_toolchain(name)
        for path in map(Path, found.paths.values() if isinstance(found, Toolchain) else ()):
            if path.is_relative_to("/usr") or path.is_relative_to(cache_directory().resolve()):
                continue
            whole = path.parent.name == "bin" and path.parents[1] not in too_much
            roots.add(path.parents[1] if whole else path.parent)
    return sorted(roots)


def _not_toolchains() -> tuple[Path, ...]:
    """Return what holds a bin folder and much else."""
    own = home()
    return (Path("/"), *((own, own / ".local") if own else ()), Path("/usr/local"), Path("/opt"))
