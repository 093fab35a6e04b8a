"""C++ made quick: precompiled headers, and a linker that is quicker than the compiler's own choice.

Most of the time that g++ takes for one of MultiPL-E's programs goes into `<bits/stdc++.h>`, and most of what
a precompiled header leaves of that into templates that <future>, <filesystem> and the special functions want
instantiated in every program. So there are two headers: all of it, and one without what few programs use. A
program gets the small one only if it has no name in it that the other alone has, or alone declares, and can't
make one (`_SPELLS`). Left out are headers whose free functions have names of their own, or, as `swap`, names
that are overloaded without them, too: nothing else in a program can tell the two headers apart.

What the quick command refuses is compiled by the ordinary one, whose word counts.
"""

import re
import subprocess
from functools import lru_cache, partial
from pathlib import Path

from xftbench.execution.native import view
from xftbench.execution.native.prepared import kept, run_tool
from xftbench.execution.native.toolchains import Toolchain, cache_directory

_FULL = "#include <assert.h>\n#include <bits/stdc++.h>\n"
_STANDARD = (
    "cassert cctype cerrno cfloat ciso646 climits clocale cmath csetjmp csignal cstdarg cstddef cstdio "
    "cstdlib cstring ctime cwchar cwctype ccomplex cfenv cinttypes cstdalign cstdbool cstdint ctgmath "
    "cuchar algorithm any array atomic bitset complex deque exception forward_list fstream functional "
    "initializer_list iomanip ios iosfwd iostream istream iterator limits list locale map memory new "
    "numeric optional ostream queue random ratio set sstream stack stdexcept streambuf string "
    "string_view system_error tuple type_traits typeindex typeinfo unordered_map unordered_set utility "
    "valarray variant vector"
)
"""All of C++17's but charconv, chrono, codecvt, condition_variable, filesystem, future, memory_resource,
mutex, regex, scoped_allocator, shared_mutex and thread."""
_SMALL = (
    "#define _GLIBCXX_BITS_SPECFUN_H 1\n"  # the guard of the special functions
    "#include <assert.h>\n" + "".join(f"#include <{name}>\n" for name in _STANDARD.split())
)
_PROBE = _FULL + "int main() { std::vector<int> a(1); assert(a[0] == 0); }\n"
_LINKERS = ("mold", "lld", "gold")
_INCLUDES = re.compile(
    r"(?:(?![ \t]*+#include[ \t]*+<bits/stdc\+\+\.h>[ \t\r]*+\n)"
    r"[ \t]*+(?:using\s++namespace\s++std;|//[^\n]*+(?<!\\)|#include[ \t]*+<[\w./+]+>)?+[ \t\r]*+\n)*+"
    r"[ \t]*+#include[ \t]*+<bits/stdc\+\+\.h>[ \t\r]*+\n"
)
"""Nothing but includes before the one of everything: no macro that could change what the headers say."""
_SPELLS = re.compile(r"##|%:|\\[ \t]*+\r?\n|\\[uU]|\?\?|\bliterals\b|\d'[\da-fA-F]|\b(?:u8|[uUL])?R\"")
"""What can make a name out of pieces, call a function without one (`5min`), or hide one from `_NAMELESS`."""
_NAMELESS = re.compile(r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|//[^\n]*|/\*(?s:.*?)\*/""")
_MACRO = re.compile(r"^#define (\w+)", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*")


def ordinary(toolchain: Toolchain, text: str, argv: list[str]) -> list[str]:
    """Return a compile command that takes the full header, where the program begins with it.

    It has to come before the program's first token, so it can't be found through the include itself.
    """
    folder = _folder(toolchain) if _INCLUDES.match(text) else None
    return [argv[0], *_including(folder / "full"), *argv[1:]] if folder else argv


def quick(toolchain: Toolchain, text: str, argv: list[str]) -> list[str]:
    """Return the command that is tried before the ordinary one; empty if there is none."""
    folder = _folder(toolchain) if _INCLUDES.match(text) else None
    if folder is None:
        return []
    is_small = not _SPELLS.search(text) and _left_out(folder).isdisjoint(_names(text))
    options = _small_options(folder) if is_small else _including(folder / "full")
    return [argv[0], *options, *(folder / "linker").read_text().split(), *argv[1:]]


def _including(folder: Path) -> list[str]:
    return ["-include", view.inside(str(folder / "prefix.h"))]


def _small_options(folder: Path) -> list[str]:
    # The program's own include of everything finds an empty file there.
    return [*_including(folder / "small"), "-I", view.inside(str(folder / "small" / "instead"))]


@lru_cache(maxsize=4)
def _left_out(folder: Path) -> frozenset[str]:
    return frozenset((folder / "left-out").read_text().split())


def _names(text: str) -> set[str]:
    """Return the names in a text, without the ending of headers, which is the suffix of std's hours."""
    return set(_NAME.findall(_NAMELESS.sub(" ", text).replace(".h>", ">")))


def _folder(toolchain: Toolchain) -> Path | None:
    """Return where the headers are, built now or earlier."""
    identity = f"{cache_directory()}{toolchain.paths}{toolchain.version}{_FULL}{_SMALL}"
    return kept("cpp", identity, partial(_build, toolchain.paths["g++"]))


def _build(compiler: str, folder: Path) -> None:
    names, macros = {}, {}
    for kind, header in (("full", _FULL), ("small", _SMALL)):
        place = folder / kind
        place.mkdir()
        (place / "prefix.h").write_text(header)
        language = (compiler, "-std=c++17", "-x", "c++-header", "prefix.h")
        names[kind] = _names(run_tool(*language, "-E", "-P", cwd=place))
        macros[kind] = set(_MACRO.findall(run_tool(*language, "-E", "-dM", cwd=place)))
        run_tool(*language, "-o", "prefix.h.gch", cwd=place)
    both = sorted(names["full"] & names["small"] - macros["full"])
    lacking = _undeclared(compiler, folder / "small", both) - _undeclared(compiler, folder / "full", both)
    left_out = (names["full"] - names["small"]) | (macros["full"] - macros["small"]) | lacking
    (folder / "left-out").write_text("\n".join(sorted(left_out)))
    instead = folder / "small" / "instead" / "bits"
    instead.mkdir(parents=True)
    (instead / "stdc++.h").touch()
    (folder / "linker").write_text(_linker(compiler, folder))


def _undeclared(compiler: str, place: Path, names: list[str]) -> set[str]:
    """Return those of some names that a header declares neither in the namespace `std` nor outside of any."""
    lacking = set(names)
    for scope in ("std::", "::"):
        lines = [f"namespace own_{number} {{ using {scope}{name}; }}" for number, name in enumerate(names)]
        command = (compiler, "-std=c++17", "-include", "prefix.h", "-x", "c++", "-fsyntax-only", "-")
        said = subprocess.run(
            command, cwd=place, input="\n".join(lines), capture_output=True, text=True, check=False
        )
        wrong = {
            int(number) for number in re.findall(r"^<stdin>:(\d+):\d+: error", said.stderr, re.MULTILINE)
        }
        lacking &= {names[number - 1] for number in wrong}
    return lacking


def _linker(compiler: str, folder: Path) -> str:
    """Return the option for the quickest linker that works here; none if that is the compiler's own."""
    for name in _LINKERS:
        try:
            command = (compiler, f"-fuse-ld={name}", "-x", "c++", "-", "-o", "probe")
            run_tool(*command, cwd=folder, text=_PROBE)
            (folder / "probe").unlink()
        except subprocess.CalledProcessError:
            continue
        return f"-fuse-ld={name}"
    return ""
