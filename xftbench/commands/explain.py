"""``xftbench explain``: may two runs stand side by side, and if not, why?"""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from xftbench.commands.options import json_option, runs_option
from xftbench.errors import UsageProblem
from xftbench.store.comparable import DECODING_UNKNOWN, Difference, differences
from xftbench.store.results import Results, find_models

_GROUPS = {
    "refused": "refuses a comparison (--allow FIELD overrides it)",
    "noted": "is noted, and may flip a few answers",
    "compared": "is what a comparison is about",
}


@click.command
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@runs_option
@json_option
def command(before: str, after: str, runs: Path, as_json: bool) -> None:
    """Say in which fields two runs differ, and what each means for comparing them."""
    pairs = _pairs(before, after, runs)
    found = {suite: _differences(*pair) for suite, pair in pairs.items()}
    unknown = [
        suite for suite, pair in pairs.items() if all(one.spec.generation.is_decoding_unknown for one in pair)
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for suite, different in found.items():
        click.echo(_render(suite, different))
        if suite in unknown:
            click.echo(f"  {DECODING_UNKNOWN}")


def _pairs(before: str, after: str, runs: Path) -> dict[str, tuple[Results, Results]]:
    first, second = (find_models([word], runs)[0].suites for word in (before, after))
    common = {suite: (first[suite], second[suite]) for suite in first if suite in second}
    if not common and len(first) == len(second) == 1:
        (left,), (right,) = first.values(), second.values()
        return {f"{left.suite} and {right.suite}": (left, right)}
    if not common:
        raise UsageProblem(
            f"{before} and {after} have no suite in common: {', '.join(first)}; {', '.join(second)}"
        )
    return common


def _differences(before: Results, after: Results) -> list[Difference]:
    found = differences(before.spec, after.spec)
    if before.style and after.style:
        found = [_in_words(difference, before, after) for difference in found]
    return found


def _in_words(difference: Difference, before: Results, after: Results) -> Difference:
    """Say what is behind two hashes of prompts, where the styles were kept."""
    if difference.field != "prompts_sha256" or before.style is None or after.style is None:
        return difference
    stops = [
        f"stop at {', '.join(map(repr, style.stop)) or 'nothing'}" for style in (before.style, after.style)
    ]
    if stops[0] == stops[1]:
        return difference
    return msgspec.structs.replace(difference, before=stops[0], after=stops[1])


def _render(suite: str, found: Sequence[Difference]) -> str:
    refused = any(difference.kind == "refused" for difference in found)
    lines = [f"{suite}: {'not comparable' if refused else 'comparable'}"]
    for kind, title in _GROUPS.items():
        chosen = [difference for difference in found if difference.kind == kind]
        if not chosen:
            continue
        lines.append(f"  {title}:")
        for difference in chosen:
            lines.append(f"    {difference.field}: {difference.before} -> {difference.after}")
            lines.append(f"        {difference.meaning}")
    if not found:
        lines.append("  the same run twice: no field differs")
    return "\n".join(lines)
