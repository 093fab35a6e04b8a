"""One HTML file with everything: tables and figures as they are, programs packed and read on demand.

Rendered by Jinja with autoescape on; what a model wrote is not in the markup at all, only in the packed data,
which the script puts into the page as text. A content security policy allows the page's own script, by its
hash, and nothing else, so that markup in a completion stays inert even if all of that failed.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources

import jinja2
import msgspec
import pandas as pd
from markupsafe import Markup
from matplotlib import figure as mpl

from xftbench import __version__
from xftbench.report import formats, leaderboard, plots
from xftbench.report.cost import cost_points
from xftbench.report.pack import DEFAULT_MAX_BYTES, pack
from xftbench.report.runs import Run, Table
from xftbench.store.spec import GenerationSpec

_PARTS = resources.files("xftbench.report") / "assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure and the name that its files get."""

    name: str
    figure: mpl.Figure

    @property
    def svg(self) -> Markup:
        """For the page."""
        return Markup(plots.themed_svg(self.figure, self.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A card of a section: a table, figures, or both."""

    title: str = ""
    notes: Sequence[str] = ()
    frame: pd.DataFrame | None = None
    """Cells are texts."""
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page between the costs and the provenance."""

    id: str
    title: str
    intro: str = ""
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What goes on a page."""

    tables: Sequence[Table]
    frame: pd.DataFrame
    """The leaderboard's rows."""
    baseline: str | None = None
    sections: Sequence[Section] = ()
    published: pd.DataFrame | None = None
    title: str = "Code model report"
    notes: Sequence[str] = ()
    """Shown at the top, such as runs that were left out."""
    sentences: Sequence["Sentence"] = ()
    differences: Sequence[Block] = ()
    max_bytes: int = field(default=DEFAULT_MAX_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What to make of a difference, in words."""

    call: str
    """``better``, ``worse``, ``unclear`` or ``equivalent``."""
    text: str


def render(content: Content) -> str:
    """Return the page."""
    script = (_PARTS / "page.js").read_text(encoding="utf-8")
    packed = pack(content.tables, content.max_bytes)
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (_PARTS / "page.html.j2").read_text(encoding="utf-8")
    )
    return template.render(
        title=content.title,
        subtitle=_subtitle(content),
        version=__version__,
        notes=content.notes,
        sentences=content.sentences,
        css=Markup((_PARTS / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sections=_navigation(content),
        tables=[_table(table, rows) for table, rows in _with_rows(content)],
        averages=_averages(content.tables),
        published=None if content.published is None else _published(content.published),
        differences=[
            {"caption": block.title, "svg": block.figures[0].svg, "html": html_table(block.frame)}
            for block in content.differences
        ],
        baseline=content.baseline or "",
        costs=[figure.svg for figure in cost_figures(content)],
        extra=[_section(section) for section in content.sections],
        provenance=[_provenance(run) for table in content.tables for run in table.runs],
        index=Markup(packed.index),
        chunks=[Markup(chunk) for chunk in packed.chunks],
        per_problem=packed.per_problem,
        n_kept=f"{packed.n_kept:,}",
        n_samples=f"{packed.n_samples:,}",
    )


def figures(content: Content) -> list[Figure]:
    """Return every figure of the page, to be saved on its own."""
    blocks = [*content.differences, *(block for section in content.sections for block in section.blocks)]
    scores = [_scores(table, rows) for table, rows in _with_rows(content)]
    return [*scores, *(figure for block in blocks for figure in block.figures), *cost_figures(content)]


def html_table(frame: pd.DataFrame | None) -> Markup:
    """Return a table of texts as HTML, every cell escaped."""
    if frame is None:
        return Markup("")
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in frame.columns)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td{}>{}</td>").format(_wrap(cell), cell)
                                                     for cell in row))
        for row in frame.itertuples(index=False)
    )  # fmt: skip
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, rows)


def _wrap(cell: object) -> Markup:
    return Markup(' class="wrap"') if len(str(cell)) > 40 else Markup("")


def _with_rows(content: Content) -> list[tuple[Table, pd.DataFrame]]:
    frame = content.frame
    return [(table, frame[frame["group"] == table.group]) for table in content.tables]


def _subtitle(content: Content) -> str:
    n_runs = sum(len(table.runs) for table in content.tables)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    n_suites = len({table.suite for table in content.tables})
    return f"{n_runs} runs, {n_suites} suite{'s' * (n_suites != 1)} · xftbench {__version__} · {made}"


def _navigation(content: Content) -> list[tuple[str, str]]:
    found = [("leaderboard", "Leaderboard")]
    if content.differences:
        found.append(("differences", "Differences"))
    found.append(("browser", "Problems"))
    if cost_figures(content):
        found.append(("cost", "Cost"))
    return [
        *found,
        *((section.id, section.title) for section in content.sections),
        ("provenance", "Provenance"),
    ]


def _table(table: Table, rows: pd.DataFrame) -> dict[str, object]:
    return {
        "caption": formats.caption(rows),
        "html": html_table(formats.for_people(rows)),
        "scores": _scores(table, rows).svg,
    }


def _scores(table: Table, rows: pd.DataFrame) -> Figure:
    models = [run.name for run in table.runs]
    drawn = plots.intervals(
        list(rows["model"]),
        [
            (100 * row["pass@1"], 100 * row["pass@1_low"], 100 * row["pass@1_high"])
            for _, row in rows.iterrows()
        ],
        [plots.color_of(models.index(name)) for name in rows["model"]],
    )
    return Figure(name=f"scores-{slug(table)}", figure=drawn)


def slug(table: Table) -> str:
    """Return a table's name in file names."""
    return f"{table.suite}-{table.group}".replace(":", "-").replace(",", "-").replace("+", "plus")


def cost_figures(content: Content) -> list[Figure]:
    """Return score against cost, one figure for each table whose runs have a cost in common."""
    found = []
    for table, rows in _with_rows(content):
        if (points := cost_points(rows)) is not None:
            drawn = plots.pareto(points.points, title=table.label, cost=points.name)
            found.append(Figure(name=f"cost-{slug(table)}", figure=drawn))
    return found


def _averages(tables: Sequence[Table]) -> list[dict[str, object]]:
    frame = leaderboard.averages([run for table in tables for run in table.runs])
    blocks = []
    for over, rows in frame.groupby("over", sort=False) if not frame.empty else ():
        shown = rows[["model", "n_parts", "n_problems"]].assign(
            macro=rows["macro"].map(formats.percent), weighted=rows["weighted"].map(formats.percent)
        )
        shown = shown.rename(
            columns={"n_parts": "parts", "n_problems": "problems", "weighted": "problem-weighted"}
        )
        blocks.append({"over": over, "parts": rows.iloc[0]["parts"], "html": html_table(shown)})
    return blocks


def _published(frame: pd.DataFrame) -> Markup:
    shown = frame.drop(columns="kind").assign(score=[formats.percent(score) for score in frame["score"]])
    return html_table(shown)


def _section(section: Section) -> dict[str, object]:
    return {
        "id": section.id,
        "title": section.title,
        "intro": section.intro,
        "blocks": [
            {
                "title": block.title,
                "notes": block.notes,
                "html": html_table(block.frame),
                "figures": [figure.svg for figure in block.figures],
            }
            for block in section.blocks
        ],
    }


def _provenance(run: Run) -> dict[str, object]:
    environment, spec = run.spec_file.environment, run.spec
    generation, scoring = spec.generation, spec.scoring
    facts = {
        "run": f"{run.spec_file.run_id} in {run.path}",
        "command": " ".join(environment.command),
        "checkpoint": f"{environment.ref} ({environment.kind}), sha256 {generation.checkpoint_sha256}",
        "made by": _line(run),
        "engine": f"{generation.engine} {generation.engine_version}",
        "precision": _precision(generation),
        "prompts": f"style {generation.style}, sha256 {generation.prompts_sha256}",
        "decoding": _decoding(generation),
        "suite": f"{scoring.suite} {scoring.suite_version}, {scoring.n_problems} problems",
        "data": f"sha256 {scoring.data_sha256}",
        "extraction": scoring.extraction,
        "limits": _fields(scoring.limits),
        "isolation": f"{scoring.isolation}, Python {scoring.python}",
        "toolchains": ", ".join(f"{key} {value}" for key, value in scoring.toolchains.items()),
        "options": ", ".join(f"{key}={value}" for key, value in scoring.options.items()),
        "left out": ", ".join(scoring.left_out),
        "packages": ", ".join(f"{key} {value}" for key, value in environment.packages.items()),
        "machine": environment.machine,
        "xftbench commit": environment.git_commit or "unknown",
        "finished": run.scores_file.finished,
    }  # fmt: skip
    return {
        "title": f"{run.name} · {scoring.suite}",
        "facts": [(name, value) for name, value in facts.items() if value],
    }


def _precision(generation: GenerationSpec) -> str:
    if not generation.dtype:
        return ""
    where = f" ({generation.processor})" if generation.processor else ""
    return f"{generation.dtype} on {generation.device}{where}"


def _decoding(generation: GenerationSpec) -> str:
    if generation.is_decoding_unknown:
        return f"n {generation.sampling.n}, otherwise unknown: completions made elsewhere"
    values = {"n": generation.sampling.n, **generation.decoding}
    return ", ".join(f"{name} {'unknown' if value is None else value}" for name, value in values.items())


def _fields(record: msgspec.Struct) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(record).items())


def _line(run: Run) -> str:
    facts = run.spec_file.environment.model
    if facts is None or not facts.line:
        return ""
    steps = [
        step.stage + (f" ({step.tokens:,} tokens of {step.data} on {step.device})" if step.tokens else "")
        for step in facts.line
    ]
    return " > ".join(steps) + (f"; unknown before: {facts.unknown}" if facts.unknown else "")
