"""What of the languages is on this machine: paths and versions, or what is missing and how to get it."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from xftbench.execution.native.language import Language, Tool, Variant
from xftbench.execution.native.languages import LANGUAGES
from xftbench.hashing import sha256_file
from xftbench.places import home, own_cache

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*|\d+\.\d+|(?<=version )\d+")
_VERSION_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What runs programs of a language here."""

    language: Language
    variant: Variant
    paths: dict[str, str]
    """Tool -> its real path."""

    @property
    def version(self) -> str:
        """All tools that tell a version: ``openjdk 17.0.15, javatuples 1.2``."""
        parts = [
            f"{tool.shown or tool.name} {version}"
            for tool in self.variant.tools
            if (version := _version_of(tool, self.paths[tool.name]))
        ]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A language that can't be run here."""

    language: str
    what: tuple[str, ...]
    """The tools that were not found."""
    install: str
    """The command that brings them, or what else to do."""


def cache_directory() -> Path:
    """Return where toolchains that no Debian package brings, and precompiled parts, are kept."""
    return own_cache() / "toolchains"


@lru_cache(maxsize=64)
def find_toolchain(language: str) -> Toolchain | Missing:
    """Return what runs a language here; looked up once per process.

    Raises:
        KeyError: If it is no language of the table.
    """
    row = LANGUAGES[language]
    for variant in row.variants:
        found = {tool.name: _find(tool) for tool in variant.tools}
        paths = {name: str(path) for name, path in found.items() if path is not None}
        if len(paths) == len(found):
            return Toolchain(language=row, variant=variant, paths=paths)
    tools = [tool for tool in row.variants[-1].tools if _find(tool) is None]
    return Missing(language=language, what=tuple(tool.name for tool in tools), install=_install(tools))


def missing_toolchains(names: Sequence[str]) -> list[Missing]:
    """Return which of those names that are languages of the table can't be run here."""
    found = [find_toolchain(name) for name in names if name in LANGUAGES]
    return [toolchain for toolchain in found if isinstance(toolchain, Missing)]


def describe_toolchains(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of those names that are languages of the table; of what is missing: ``missing``."""
    described = {}
    for name in names:
        if name in LANGUAGES:
            found = find_toolchain(name)
            described[name] = found.version if isinstance(found, Toolchain) else "missing"
    return described


def _find(tool: Tool) -> Path | None:
    """Return a tool's real path: a link would lead out of what a jail shows."""
    for pattern in tool.files:
        path = _expanded(pattern)
        with suppress(OSError):  # a path that can't be looked at is as good as none
            if path is not None and path.is_file():
                return path.resolve()
    return next((path for found in _on_path(tool.name) if not _is_stand_in(path := found.resolve())), None)


def _on_path(name: str) -> list[Path]:
    found = [shutil.which(name, path=folder) for folder in os.get_exec_path()]
    return [Path(path) for path in dict.fromkeys(found) if path]


def _is_stand_in(path: Path) -> bool:
    """Tell what only chooses a version at run time: it needs a home directory, which a jail has not."""
    with suppress(OSError):
        return path.parent.name == "shims" or path.samefile(path.with_name("rustup"))
    return False


def _expanded(pattern: str) -> Path | None:
    if pattern.startswith("{rust-sysroot}"):
        sysroot = _rust_sysroot()
        return sysroot and Path(pattern.replace("{rust-sysroot}", str(sysroot)))
    if pattern.startswith("$"):
        name, slash, rest = pattern[1:].partition("/")
        value = os.environ.get(name)
        return Path(value + slash + rest) if value else None
    if pattern.startswith("~/"):
        found = home()
        return found and found / pattern[2:]
    return Path(pattern.replace("{cache}", str(cache_directory())))


@lru_cache(maxsize=1)
def _rust_sysroot() -> Path | None:
    rustc = shutil.which("rustc")
    said = _asked((rustc, "--print", "sysroot")) if rustc else None
    lines = said.stdout.splitlines() if said else []
    with suppress(OSError):
        if len(lines) == 1 and Path(lines[0]).is_dir():
            return Path(lines[0])
    return None


@lru_cache(maxsize=128)
def _version_of(tool: Tool, path: str) -> str:
    if path.endswith(".jar"):
        return _jar_version(Path(path))
    if tool.npm:
        with suppress(OSError, msgspec.MsgspecError):
            package = msgspec.json.decode(
                (Path(path).parents[1] / "package.json").read_bytes(), type=dict[str, object]
            )
            return str(package["version"])
    if not tool.version:
        return ""
    said = _asked((path, *tool.version))
    match = _VERSION.search(said.stdout + said.stderr) if said else None
    return match.group() if match else sha256_file(Path(path))[:12]


def _jar_version(path: Path) -> str:
    with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as jar:
        for name in jar.namelist():
            if name.endswith("pom.properties"):
                match = re.search(r"^version=(\S+)", jar.read(name).decode(), re.MULTILINE)
                if match:
                    return match.group(1)
    return sha256_file(path)[:12]


def _asked(argv: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """Return what a tool says of itself; None if it fails, as it then speaks of something else."""
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
            timeout=_VERSION_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None


def _install(tools: Sequence[Tool]) -> str:
    debian = [package for tool in tools for package in tool.debian]
    npm = [tool.npm for tool in tools if tool.npm]
    parts = [tool.advice for tool in tools if tool.advice]
    if debian:
        parts.append("apt-get install --no-install-recommends " + " ".join(dict.fromkeys(debian)))
    if npm:
        parts.append(f"npm install --prefix {cache_directory()} " + " ".join(npm))
    command = " && ".join(parts) or f"install {', '.join(tool.name for tool in tools)}"
    stand_ins = [str(path) for tool in tools for path in _on_path(tool.name)]
    return command + (f"  # {', '.join(stand_ins)}: only chooses a toolchain, none here" if stand_ins else "")
