"""Shorter ways to what a language's compile step does, where there are some.

Each gives what the published command would give, or steps aside. C++: see `cpp`. Rust: the standard library
is linked with as it is, where a program does nothing to its linking. Go: the standard packages are known from
the start. Java and TypeScript: the compiler stays warm. Scala: its classes are mapped, not loaded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from xftbench.execution import processors
from xftbench.execution.native import cpp, prepared, view
from xftbench.execution.native.job import Files
from xftbench.execution.native.toolchains import Toolchain
from xftbench.execution.native.warm import Compiler
from xftbench.execution.worker import Worker

_LINKS = re.compile(r"#!\[|\b(?:extern|link\w*|no_mangle|export_name|global_allocator|\w*asm)\b|current_exe")
_SERVER_CPU_S = 100_000
_MOST_CLASSES, _LONGEST_NAME, _LONGEST_PATH = 2000, 255, 2000


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
        return max(1, processors.worth_using() // self.serves)

    def start(self, worker: Worker, command: dict[str, Any]) -> Compiler:
        """Start one; `command` is the language's ordinary compile step."""
        step = command | {"argv": list(self.argv), "cpu_s": _SERVER_CPU_S, "runtime_memory": True}
        return Compiler(worker, step, self.files, self.unpack)


def hastened(toolchain: Toolchain, text: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a language's steps with what makes them quick; `quick` is a command to try before."""
    name, first, argv = toolchain.language.name, steps[0], steps[0]["argv"]
    if name == "cpp":
        quick, ordinary = cpp.quick(toolchain, text, argv), cpp.ordinary(toolchain, text, argv)
        return [first | {"quick": quick, "argv": ordinary}, *steps[1:]]
    if name == "rs" and not _LINKS.search(text):
        return [first | {"argv": [*argv, "-C", "prefer-dynamic", "-C", "rpath"]}, *steps[1:]]
    if name == "go" and (cache := prepared.go_cache(toolchain)):
        return [
            first | {"environment": first["environment"] | {"GOCACHE": view.inside(str(cache))}},
            *steps[1:],
        ]
    if name == "scala":
        return _scala(toolchain, steps)
    return steps


def _scala(toolchain: Toolchain, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    archive = prepared.scala_archive(toolchain)
    both = [f"-J-XX:SharedArchiveFile={view.inside(str(archive))}", "-J-Xlog:disable"] if archive else []
    added = ([*both, "-J-XX:TieredStopAtLevel=1"], both)  # how the program itself runs is left as it is
    return [
        step | {"argv": [step["argv"][0], *options, *step["argv"][1:]]}
        for step, options in zip(steps, added, strict=True)
    ]


def warm(toolchain: Toolchain) -> Warm | None:
    """Return the warm compiler of a language, if it has one."""
    make = {"java": _java, "ts": _typescript}.get(toolchain.language.name)
    return make(toolchain) if make else None


def _java(toolchain: Toolchain) -> Warm | None:
    server = prepared.java_server(toolchain)
    if server is None:
        return None
    paths = {name: view.inside(path) for name, path in toolchain.paths.items()}
    folder = view.inside(str(server))
    # An archive that can't be used is passed over; that it is must not be written where the answers are.
    flags = (*prepared.JAVA_FLAGS, f"-XX:SharedArchiveFile={folder}/{prepared.ARCHIVE}", "-Xlog:disable")
    argv = (paths["java"], *flags, "-cp", folder, "JavaCompiler", paths["javatuples"])
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
