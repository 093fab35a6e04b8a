"""The run that a samples file belongs to: what it says about its samples need not be said again."""

from pathlib import Path
from typing import Any

from xftbench import jsonl
from xftbench.commands.models import spec_of_samples
from xftbench.errors import StoreError
from xftbench.generation import multipl_e_files
from xftbench.generation.checkpoints import Checkpoint, resolve_samples
from xftbench.hashing import sha256_file
from xftbench.plan import Suite
from xftbench.prompts.style import PromptStyle
from xftbench.reading import Reading
from xftbench.records import Record, Sample
from xftbench.store.run_dir import read_scores, read_spec
from xftbench.store.spec import GenerationSpec, SpecFile


class Origin(Record, kw_only=True):
    """Where samples come from, as far as it is known."""

    path: str
    """The samples file."""
    run: SpecFile | None
    """Of the run directory that it stands in, and is the finished samples file of."""


def origin_of(path: Path) -> Origin:
    """Look for the run directory around a samples file; one that is not complete tells nothing."""
    if path.name == "samples.jsonl" and (path.parent / "spec.json").is_file():
        try:
            if read_scores(path.parent).samples_sha256 == sha256_file(path):
                return Origin(path=str(path), run=read_spec(path.parent))
        except StoreError:
            pass
    return Origin(path=str(path), run=None)


def fill_in(origin: Origin, options: dict[str, Any]) -> None:
    """Let the run decide what a command's options leave open: the suite, and which of its problems."""
    if origin.run is None:
        return
    scoring = origin.run.spec.scoring
    if not options["suites"]:
        options["suites"] = (f"{scoring.suite}@{scoring.suite_version}",)
        is_part = scoring.n_suite is not None and scoring.n_problems < scoring.n_suite
        if is_part and not (options["ids"] or options["task_ids"] or options["limit"]):
            rows = jsonl.read(Path(origin.path), Sample)
            options["task_ids"] = tuple(dict.fromkeys(row.task_id for row in rows))


def generation_of(
    origin: Origin, suite: Suite, samples: list[Sample], reading: Reading
) -> tuple[GenerationSpec, Checkpoint, PromptStyle | None]:
    """Return what made the samples: what their run says, or the file itself in the place of a model."""
    path = Path(origin.path)
    checkpoint = resolve_samples(Path(path.name.removesuffix(".gz")).stem, path)
    if origin.run is None:
        said = multipl_e_files.decoding(path)
        generation = spec_of_samples(checkpoint, reading.style, samples, said)
        return generation, checkpoint, None
    return (
        origin.run.spec.generation,
        Checkpoint(
            name=origin.run.environment.name,
            ref=origin.path,
            path=origin.path,
            sha256=checkpoint.sha256,
            kind="samples",
            has_chat_template=False,
            model_type="",
        ),
        origin.run.style,
    )
