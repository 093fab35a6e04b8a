"""docs/prompts.md holds every prompt style as it is; this file, run as a script, writes them."""

import difflib
from pathlib import Path

from xftbench.prompts.presets import PRESETS
from xftbench.prompts.style import PromptStyle
from xftbench.prompts.templates import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "prompts.md"
MARK = "<!-- Below this line: written by `python tests/docs/test_prompt_styles.py`. -->\n"


def render() -> str:
    parts = [MARK, "## Presets\n", "| preset | suite | style |\n|---|---|---|"]
    parts += [
        f"| `{name}` | `{suite}` | {style} |" for name, chosen in PRESETS.items() for suite, style in chosen
    ]
    for family in FAMILIES.values():
        for index, style in enumerate(family.styles.values()):
            parts.append(section(style, is_default=index == 0))
    return "\n".join(parts) + "\n"


def section(style: PromptStyle, *, is_default: bool) -> str:
    sampling = style.sampling
    how = "greedy" if sampling.temperature == 0 else f"T={sampling.temperature:g}, top-p {sampling.top_p:g}"
    stops = " ".join(f"`{stop!r}`" for stop in style.stop) or "none of its own"
    lines = [
        f"\n## {style.family}: {style.name}{' (default)' if is_default else ''}\n",
        f"- source: {style.source}",
        f"- sent: {'inside the chat template of the checkpoint' if style.is_chat else 'as raw text'}",
        f"- stops: {stops}",
        f"- decoding: {how}, n={sampling.n}, at most {sampling.max_new_tokens} new tokens",
        f"- extraction: `{style.extraction}`, {style.policy}\n",
        f"````text\n{style.template}\n````",
    ]
    if style.response:
        lines.append(f"\nThe model's turn begins with\n\n````text\n{style.response}\n````")
    return "\n".join(lines)


def test_the_page_shows_the_styles_as_they_are() -> None:
    written = MARK + PAGE.read_text().partition(MARK)[2]
    changed = "\n".join(difflib.unified_diff(written.splitlines(), render().splitlines(), lineterm="", n=0))
    assert not changed, f"write it again: python {__file__}"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + render())
