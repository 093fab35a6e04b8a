"""The import direction of the design, and imports that stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import xft
import xftbench

# A layer imports only from layers that stand before it.
LAYERS = [
    "errors", "places", "hashing", "records", "jsonl", "locks", "benchmarks", "prompts", "generation",
    "execution", "scoring", "store", "report", "plan", "reading", "judge", "pipeline", "commands", "cli",
    "__main__",
]  # fmt: skip
HEAVY = {"torch", "transformers", "vllm", "numpy", "pandas", "datasets", "pyarrow", "scipy"}


def modules(package: object) -> list[Path]:
    root = Path(package.__file__).parent  # type: ignore[attr-defined]
    return sorted(root.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names a module imports, wherever in the file the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def layer_of(path: Path) -> str:
    relative = path.relative_to(Path(xftbench.__file__).parent)
    return relative.parts[0].removesuffix(".py")


def test_every_module_belongs_to_a_layer() -> None:
    found = {layer_of(path) for path in modules(xftbench)} - {"__init__"}
    assert found == set(LAYERS)


@pytest.mark.parametrize("path", modules(xftbench), ids=str)
def test_a_layer_imports_only_from_layers_before_it(path: Path) -> None:
    layer = layer_of(path)
    if layer == "__init__":
        assert not {name for name in imported(path) if name.startswith("xftbench")}
        return
    later = LAYERS[LAYERS.index(layer) + 1 :]
    wrong = {
        name for name in imported(path) if any(f"{name}.".startswith(f"xftbench.{other}.") for other in later)
    }
    assert not wrong, f"{path} reaches into a later layer"


@pytest.mark.parametrize("path", modules(xft), ids=str)
def test_the_method_knows_nothing_of_the_evaluation(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] == "xftbench"}


def test_only_what_loads_a_model_reads_its_record_or_ends_a_command_may_import_the_method() -> None:
    # DEVELOPING.md says what each needs it for. Types of parameters, which both command lines share, know
    # nothing of the method.
    module = "xft.commands.parameters"
    shared = {module, f"{module}.NamedPath", f"{module}.Number"}
    root = Path(xftbench.__file__).parent
    users = {
        path.relative_to(root).as_posix()
        for path in modules(xftbench)
        if any(name.split(".")[0] == "xft" for name in imported(path) - shared)
    }
    assert users == {
        "generation/smollm2.py",
        "store/model_facts.py",
        "report/contamination.py",
        "commands/invariants.py",
        "__main__.py",
    }


def loaded_after(code: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has loaded after running some code."""
    # On stderr: what the code prints is not the answer.
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import xftbench.cli",
        "import xftbench.commands.run",
        "import xftbench.commands.score",
        "import xftbench.commands.compare",
        "import xftbench.commands.explain",
        "import xftbench.commands.gate",
        "import xftbench.commands.noise",
        "import xftbench.generation",
        "import xftbench.execution",
        "from xftbench.cli import run; run(['--help'])",
    ],
)
def test_what_every_command_imports_is_light(code: str) -> None:
    assert not loaded_after(code) & HEAVY
