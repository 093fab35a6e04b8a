"""Shorter ways to what a language's compile step does, where there are some.

Each gives what the published command would give, or steps aside. C++: see `cpp`. Rust: the standard library
is linked with as it is, where a program does nothing to its linking. Go: the standard packages are known from
the start. Java and TypeScript: the compiler stays warm.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from xftbench.execution.native import cpp, prepared, view
from xftbench.execution.native.job import Files
from xftbench.execution.native.toolchains import Toolchain
from xftbench.execution.native.warm import Compiler
from xftbench.execution.worker import Worker

_LINKS = re.compile(r"#!\[|\b(?:extern|link\w*|no_mangle|export_name|global_allocator|\w*asm)\b|current_exe")
_SERVER_CPU_S = 100_000
_MOST_CLASSES, _LONGEST_NAME, _LONGEST_PATH = 2000, 255, 2000
_JAVA_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss4m", "-Xmx768m")


@dataclass(frozen=True, slots=True)
class Warm:
    """How a language's warm compiler is started and understood."""

    argv: tuple[str, ...]
    files: Files
    unpack: Callable[[bytes], Files]
    serves: int
    """Processors that it keeps busy: programs run for longer than they take to compile."""

    @property
    def most(self) -> int:
        """How many of them this machine can use. Each is slow for its first dozens of programs."""
        return max(1, len(os.sched_getaffinity(0)) // self.serves)

    def start(self, worker: Worker, command: dict[str, Any]) -> Compiler:
        """Start one; `command` is the language's ordinary compile step."""
        step = command | {"argv": list(self.argv), "cpu_s": _SERVER_CPU_S, "runtime_memory": True}
        return Compiler(worker, step, self.files, self.unpack)


def hastened(toolchain: Toolchain, text: str, step: dict[str, Any]) -> dict[str, Any]:
    """Return a language's first step with what makes it quick; `quick` is a command to try before."""
    name, argv = toolchain.language.name, step["argv"]
    if name == "cpp":
        return step | {"quick": cpp.quick(toolchain, text, argv), "argv": cpp.ordinary(toolchain, text, argv)}
    if name == "rs" and not _LINKS.search(text):
        return step | {"argv": [*argv, "-C", "prefer-dynamic", "-C", "rpath"]}
    if name == "go" and (cache := prepared.go_cache(toolchain)):
        return step | {"environment": step["environment"] | {"GOCACHE": view.inside(str(cache))}}
    return step


def warm(toolchain: Toolchain) -> Warm | None:
    """Return the warm compiler of a language, if it has one."""
    make = {"java": _java, "ts": _typescript}.get(toolchain.language.name)
    return make(toolchain) if make else None


def _java(toolchain: Toolchain) -> Warm | None:
    server = prepared.java_server(toolchain)
    if server is None:
        return None
    paths = {name: view.inside(path) for name, path in toolchain.paths.items()}
    argv = (paths["java"], *_JAVA_FLAGS, "-cp", view.inside(str(server)), "JavaCompiler", paths["javatuples"])
    return Warm(argv, {}, _java_classes, serves=3)


def _java_classes(body: bytes) -> Files:
    """Return the classes of an answer; the sender compiles untrusted text, so nothing in it is believed."""
    files: Files = {}
    while body:
        parts = []
        for _ in range(2):
            length = int.from_bytes(body[:4])
            if len(body) < 4 + length:
                raise ValueError("a torn answer")
            parts.append(body[4 : 4 + length])
            body = body[4 + length :]
        name = parts[0].decode("utf-8")
        is_odd = name.startswith("/") or any(odd in name for odd in ("..", ".class/", "\0"))
        if not name.endswith(".class") or is_odd:
            raise ValueError("a class with a name that is none")
        files[name] = parts[1]
    longest = max((len(part.encode()) for name in files for part in name.split("/")), default=0)
    longest_path = max((len(name.encode()) for name in files), default=0)
    if len(files) > _MOST_CLASSES or longest > _LONGEST_NAME or longest_path > _LONGEST_PATH:
        raise ValueError("more than a scratch directory holds: javac says it better")
    return files


def _typescript(toolchain: Toolchain) -> Warm:
    library = toolchain.paths["tsc"].rpartition("/bin/")[0] + "/lib/typescript.js"
    argv = (view.inside(toolchain.paths["node"]), "typescript_compiler.js", view.inside(library))
    script = prepared.source_of("typescript_compiler.js").encode()
    return Warm(argv, {"typescript_compiler.js": script}, partial(_one_file, "program.js"), serves=1)


def _one_file(name: str, body: bytes) -> Files:
    return {name: body}
