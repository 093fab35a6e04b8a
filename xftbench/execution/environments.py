"""Environments that a benchmark's programs run in: virtual environments of pinned packages, built once.

An environment is known by the hash of its pins. It is built beside its place and renamed into it, so what
stands there is whole; and it is used only while it holds exactly the pinned packages.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from xftbench.errors import ToolchainError, UsageProblem
from xftbench.locks import locked
from xftbench.places import own_cache

OnLine = Callable[[str], None]
"""Is told what is being done, a short line at a time."""

_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_DESCRIBE = """
import json, sys, sysconfig
base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
paths = sysconfig.get_paths(vars=base)
print(json.dumps({
    "version": sys.version.split()[0],
    "executable": getattr(sys, "_base_executable", sys.executable),
    "base_prefix": sys.base_prefix,
    "stdlib": [paths["stdlib"], paths["platstdlib"]],
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """What an environment must hold."""

    name: str
    python: str
    """Version of the interpreter, major and minor."""
    pins: dict[str, str]
    """Distribution, by its normalised name -> version."""
    purpose: str
    gigabytes: float

    @property
    def identity(self) -> str:
        """Hash of interpreter and pins."""
        lines = [self.python, *(f"{name}=={version}" for name, version in sorted(self.pins.items()))]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        """Name of its directory."""
        return f"{self.name}-{self.identity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment that is whole."""

    spec: EnvironmentSpec
    path: Path
    python: str
    """Exact version of its interpreter."""
    executable: str
    """The interpreter itself, outside the environment."""
    base_prefix: Path
    stdlib: tuple[Path, ...]

    @property
    def site(self) -> Path:
        """Where its packages are."""
        return self.path / "lib" / f"python{self.spec.python}" / "site-packages"

    @property
    def data(self) -> Path:
        """Data sets that its packages would otherwise download."""
        return self.path / "data"


def specs() -> dict[str, EnvironmentSpec]:
    """Return every environment that there can be."""
    return {"ds1000": _spec("ds1000", "3.11", "DS-1000's programs and tests", 3.0)}


def _spec(name: str, python: str, purpose: str, gigabytes: float) -> EnvironmentSpec:
    pins = {}
    for line in _pins_text(name).splitlines():
        if line and not line.startswith("#"):
            distribution, _, version = line.partition("==")
            pins[_normalised(distribution)] = version
    return EnvironmentSpec(name=name, python=python, pins=pins, purpose=purpose, gigabytes=gigabytes)


def _pins_text(name: str) -> str:
    return (resources.files("xftbench.execution") / f"{name}-pins.txt").read_text("utf-8")


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def root() -> Path:
    """Return where environments stand, by the XDG convention."""
    return own_cache() / "envs"


def find(name: str) -> Environment:
    """Return an environment that holds exactly its pinned packages.

    Raises:
        ToolchainError: If it has not been created, or is not what it should be any more.
    """
    spec = specs()[name]
    path = root() / spec.folder
    create_it = f"xftbench env create {name}    (about {spec.gigabytes:g} GB, a minute or two)"
    if not os.access(path / "environment.json", os.R_OK):
        raise ToolchainError(
            f"the environment for {spec.purpose} is not there: {path}", hint=f"create it with: {create_it}"
        )
    about = json.loads((path / "environment.json").read_text("utf-8"))
    found = Environment(
        spec=spec,
        path=path.resolve(),
        python=about["version"],
        executable=about["executable"],
        base_prefix=Path(about["base_prefix"]),
        stdlib=tuple(Path(name) for name in about["stdlib"]),
    )
    if reason := _difference(installed(found.site), spec.pins) or _missing_interpreter(found):
        raise ToolchainError(
            f"the environment in {path} is not what it should be: {reason}",
            hint=f"create it again with: xftbench env create {name} --again",
        )
    return found


def installed(site: Path) -> dict[str, str]:
    """Return what a directory of packages holds, by the names of its metadata directories."""
    found = {}
    for path in site.glob("*.dist-info"):
        distribution, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        if (name := _normalised(distribution)) not in ("pip", "setuptools"):
            found[name] = version
    return found


def _difference(found: dict[str, str], pins: dict[str, str]) -> str:
    """Return the first package that is missing, superfluous or of another version."""
    for name in sorted(found.keys() | pins.keys()):
        if found.get(name) != pins.get(name):
            expected = pins.get(name, "not to be there")
            return f"{name}: expected {expected}, found {found.get(name, 'nothing')}"
    return ""


def _missing_interpreter(found: Environment) -> str:
    if not os.access(found.executable, os.X_OK):
        return f"its interpreter {found.executable} is gone"
    return ""


def describe(names: Sequence[str]) -> dict[str, str]:
    """Return the identities of those names that are environments; of one that is not there: ``missing``."""
    described = {}
    for name in names:
        if name in specs():
            try:
                described[name] = toolchain(name)
            except ToolchainError:
                described[name] = "missing"
    return described


def toolchain(name: str) -> str:
    """Return an environment's identity for people: what decides results first, then the hash of all.

    Raises:
        ToolchainError: If it is not there.
    """
    found = find(name)
    leading = ("numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "torch", "tensorflow-cpu")
    versions = ", ".join(f"{part} {found.spec.pins[part]}" for part in leading if part in found.spec.pins)
    return f"Python {found.python}, {versions} (all pins: {found.spec.identity})"


def create(
    name: str, *, python: str | None = None, directory: Path | None = None, again: bool = False, say: OnLine
) -> Environment:
    """Build an environment, or return the one that is there.

    Args:
        name: One of `specs`.
        python: An interpreter of the right version; found on the path if not given.
        directory: Where its files go, if not below `root`, which then only holds a link.
        again: Whether to build it anew.
        say: Is told how far the build is.

    Raises:
        ToolchainError: If there is no such interpreter, or a package can't be installed.
        UsageProblem: If it is there, but elsewhere, or with another interpreter than the one that was named.
    """
    spec = specs()[name]
    place = root() / spec.folder
    root().mkdir(parents=True, exist_ok=True)
    lock = root() / f".{spec.folder}.lock"
    with locked(lock, on_wait=lambda: say("another process is building it: waiting")):
        if not again:
            with contextlib.suppress(ToolchainError):
                return _kept(find(name), python, directory)
        interpreter = python or _find_python(spec.python)
        _check_version(interpreter, spec)
        target = place if directory is None else directory.absolute()
        if target != place and target.exists() and any(target.iterdir()):
            raise ToolchainError(f"{target} is not empty", hint="name a new directory with --dir")
        _build_at(spec, target, interpreter, say)
        if target != place:
            _remove(place)
            place.symlink_to(target)
    return find(name)


def _kept(found: Environment, python: str | None, directory: Path | None) -> Environment:
    """Return the environment that is there, if it is where it was asked for, with the interpreter named.

    Raises:
        UsageProblem: If it is not.
    """
    again = f"xftbench env create {found.spec.name} --again builds it anew as it is asked for"
    if directory is not None and directory.resolve() != found.path:
        raise UsageProblem(f"the environment is there already, in {found.path}", hint=again)
    if python is not None and Path(_described(python)["base_prefix"]) != found.base_prefix:
        raise UsageProblem(f"the environment is there already, of {found.executable}", hint=again)
    return found


def _find_python(version: str) -> str:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [getattr(sys, "_base_executable", sys.executable)] if own == version else []
    on_path = (shutil.which(name) for name in (f"python{version}", "python3"))
    for path in [*candidates, *filter(None, on_path)]:
        with contextlib.suppress(ToolchainError):
            if _described(path)["version"].startswith(f"{version}."):
                return path
    raise ToolchainError(
        f"no Python {version} was found, and the pinned packages need exactly that version",
        hint=f"install python{version} with its venv module, or name one with --python",
    )


def _check_version(interpreter: str, spec: EnvironmentSpec) -> None:
    found = _described(interpreter)["version"]
    if not found.startswith(f"{spec.python}."):
        raise ToolchainError(
            f"{interpreter} is Python {found}, and the pinned packages need {spec.python}",
            hint=f"name a Python {spec.python} with --python",
        )


def _described(interpreter: str) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [interpreter, "-I", "-c", _DESCRIBE], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolchainError(f"{interpreter} can't be run: {error}") from error
    about: dict[str, Any] = json.loads(done.stdout)
    return about


def _build_at(spec: EnvironmentSpec, target: Path, interpreter: str, say: OnLine) -> None:
    """Build beside the target and rename; whatever ends the build removes what it made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{target.name}.unfinished"
    _remove(unfinished)  # of a build that was killed: we hold the lock
    try:
        say(f"making a virtual environment with {interpreter}")
        _run([interpreter, "-m", "venv", str(unfinished)], "the virtual environment can't be made")
        _install(spec, unfinished, say)
        about = _described(str(unfinished / "bin" / "python"))
        found = installed(unfinished / "lib" / f"python{spec.python}" / "site-packages")
        if reason := _difference(found, spec.pins):
            raise ToolchainError(f"pip has not installed what was pinned: {reason}")
        text = json.dumps(about | {"pins": spec.pins}, indent=1, sort_keys=True)
        (unfinished / "environment.json").write_text(text, "utf-8")
        if (target / "data").is_dir():  # `--again` keeps the data sets
            (target / "data").rename(unfinished / "data")
        _remove(target)
        unfinished.rename(target)
    except BaseException:  # Ctrl-C as well
        _remove(unfinished)
        raise


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def _install(spec: EnvironmentSpec, path: Path, say: OnLine) -> None:
    """Install the pinned wheels and nothing else: no resolving, so nothing can drag CUDA in."""
    command = [str(path / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--no-input"]
    pins = [f"{name}=={version}" for name, version in spec.pins.items()]
    # PyTorch's own index is asked only where pip's configuration knows no CPU build.
    attempts: list[list[str]] = [[], ["--extra-index-url", _CPU_INDEX]]
    for number, more in enumerate(attempts, start=1):
        try:
            _run_pip([*command, *more, *pins], len(pins), say)
            return
        except ToolchainError:
            if number == len(attempts):
                raise
            say(f"not all found; asking {_CPU_INDEX} as well")


def _run_pip(command: list[str], n_packages: int, say: OnLine) -> None:
    # A constraints file of the caller's is for the caller's environment.
    variables = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    output: list[str] = []
    n_seen = 0
    pip = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=variables
    )
    try:
        assert pip.stdout is not None
        for line in pip.stdout:
            output.append(line)
            if line.startswith(("Collecting", "Processing")):
                n_seen += 1
                say(f"fetching {n_seen} of {n_packages} packages: {line.split()[1].partition(' ')[0]}")
            elif line.startswith("Installing collected"):
                say(f"installing {n_packages} packages")
        if pip.wait() != 0:
            raise ToolchainError("pip can't install the packages\n" + "".join(output[-6:]).rstrip())
    finally:
        pip.kill()
        pip.wait()


def _run(command: list[str], trouble: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"{trouble}: {(done.stderr or done.stdout).strip()[-1000:]}")
