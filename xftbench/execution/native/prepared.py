"""What is built once and kept: precompiled headers, Go's cache, archives of classes, and warm compilers.

Keyed by content and by the compiler's version. What is built here is our own code, never a candidate's.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from xftbench.execution.native.toolchains import Toolchain, cache_directory
from xftbench.hashing import sha256_text
from xftbench.locks import locked

_BUILD_S = 300.0
_GO_PACKAGES = (
    "bufio", "bytes", "container/heap", "container/list", "crypto/md5", "encoding/hex", "errors", "fmt",
    "math", "math/big", "math/bits", "math/rand", "os", "reflect", "regexp", "sort", "strconv", "strings",
    "sync", "testing", "time", "unicode", "unicode/utf8",
)  # fmt: skip
_GO_TEST = (
    "package warm_test\nimport (\n"
    + "".join(f'_ "{name}"\n' for name in _GO_PACKAGES)
    + ')\nimport "testing"\nfunc TestNothing(*testing.T) {}\n'
)


JAVA_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss4m", "-Xmx768m")
"""Of the warm compiler, and of what leaves javac's classes in the form that Java starts from quickest."""
ARCHIVE = "classes.jsa"


_FAILED: set[Path] = set()
"""Folders that could not be built: not tried again for each program."""


def java_server(toolchain: Toolchain) -> Path | None:
    """Return the folder with the class of the warm compiler, and an archive of javac's own classes."""
    source = source_of("JavaCompiler.java")
    javac = (toolchain.paths["java"], *JAVA_FLAGS, "-m", "jdk.compiler/com.sun.tools.javac.Main")

    def build(folder: Path) -> None:
        (folder / "JavaCompiler.java").write_text(source)
        try:
            archive = f"-XX:ArchiveClassesAtExit={ARCHIVE}"
            run_tool(javac[0], archive, *javac[1:], "-proc:none", "JavaCompiler.java", cwd=folder)
        except subprocess.CalledProcessError:  # before Java 13, or without an archive of Java's own classes
            run_tool(*javac, "-proc:none", "JavaCompiler.java", cwd=folder)

    return kept("java", f"{toolchain.paths}{toolchain.version}{source}{JAVA_FLAGS}", build)


def go_cache(toolchain: Toolchain) -> Path | None:
    """Return a build cache that knows the packages which programs import.

    Without one, `go test` looks through them anew for each program. Programs can read it and not write to it.
    """

    def build(folder: Path) -> None:
        (folder / "warm_test.go").write_text(_GO_TEST)
        own = {name: value.replace("{work}", str(folder)) for name, value in toolchain.language.environment}
        own |= {"GOCACHE": str(folder), "HOME": str(folder), "PATH": os.defpath}
        run_tool(toolchain.paths["go"], "test", "-v", "warm_test.go", cwd=folder, environment=own)

    return kept("go", f"{toolchain.paths}{toolchain.version}{_GO_TEST}", build)


def scala_archive(toolchain: Toolchain) -> Path | None:
    """Return the archive of the classes that scalac and scala load: Java starts from it twice as quickly."""
    source = source_of("Problem.scala")
    folders = dict.fromkeys(path.rpartition("/")[0] for path in toolchain.paths.values())

    def build(folder: Path) -> None:
        (folder / "Problem.scala").write_text(source)
        own = {
            **dict(toolchain.language.environment),
            "HOME": str(folder),
            "PATH": ":".join((*folders, os.defpath)),
        }
        archive = f"-J-XX:ArchiveClassesAtExit={ARCHIVE}"
        run_tool(toolchain.paths["scalac"], archive, "-d", ".", "Problem.scala", cwd=folder, environment=own)

    built = kept("scala", f"{toolchain.paths}{toolchain.version}{source}", build)
    return built / ARCHIVE if built else None


def source_of(name: str) -> str:
    """Return a file of `warm_sources`."""
    return (resources.files("xftbench.execution.native") / "warm_sources" / name).read_text()


def run_tool(*argv: str, cwd: Path, text: str = "", environment: dict[str, str] | None = None) -> str:
    """Run a tool on a text and return what it prints.

    Raises:
        SubprocessError: If it fails.
    """
    ended = subprocess.run(
        argv,
        cwd=cwd,
        check=True,
        capture_output=True,
        timeout=_BUILD_S,
        input=text,
        encoding="utf-8",
        env=environment,
    )
    return ended.stdout


def kept(kind: str, identity: str, build: Callable[[Path], None]) -> Path | None:
    """Return a folder that `build` has filled, now or earlier; None if it can't be built."""
    root = cache_directory()
    folder = root / f"{kind}-{sha256_text(identity)[:16]}"
    if folder in _FAILED:
        return None
    try:
        if folder.is_dir():
            return folder
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / f"{kind}.lock"):
            if not folder.is_dir():
                _build(folder, build)
        return folder
    except (OSError, subprocess.SubprocessError):
        _FAILED.add(folder)
        return None


def _build(folder: Path, build: Callable[[Path], None]) -> None:
    """Fill a folder beside the wanted one, and give it the name when it is whole."""
    half = Path(tempfile.mkdtemp(prefix="half-", dir=folder.parent))
    try:
        build(half)
        half.chmod(0o755)
        for path in half.rglob("*"):  # candidates read it as another user, whatever our umask
            path.chmod(0o755 if path.is_dir() else 0o644)
        half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
