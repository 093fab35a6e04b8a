"""What has to be known about a language before a program in it can be run and judged."""

from dataclasses import dataclass

PUBLISHED_S = 15
"""MultiPL-E's general time limit. `Limits.cpu_s` scales a language's own limits by its ratio to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program or file that must be there."""

    name: str
    """What stands in braces in a command: ``{g++}``."""
    files: tuple[str, ...] = ()
    """Where to look besides PATH: paths, of which ``~`` and ``{cache}`` are expanded."""
    version: tuple[str, ...] = ("--version",)
    """Arguments that make it tell its version; none if it can't."""
    shown: str = ""
    """Its name in records, where that differs."""
    debian: tuple[str, ...] = ()
    """Debian packages that bring it."""
    npm: str = ""
    """The npm package that brings it, with its pinned version."""
    advice: str = ""
    """Where neither does: what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command on the way from a source file to an exit status."""

    argv: tuple[str, ...]
    cpu_s: int = PUBLISHED_S
    """The published limit. Theirs is wall time; here it is CPU time, with a wall limit behind it."""
    compiles: bool = False
    """Whether a failure means that the program does not compile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to build and run; a language uses the first whose tools are all there."""

    tools: tuple[Tool, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What the benchmark counts as right, beyond that every step exits with 0."""

    stderr_empty: bool = False
    stderr_lacks: tuple[str, ...] = ()
    output_lacks: tuple[str, ...] = ()
    """Texts that must stand neither on stdout nor on stderr."""
    stdout_has: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """Patterns in a failed program's output that tell why; searched in this order.

    The lines that match are shown; of a pattern with a group, the group's. A program can print what it
    likes, so they never decide whether it passes.
    """

    memory: str = ""
    syntax: str = ""
    """Of an interpreter: what it says of a program that it can't read, not what a program runs into."""
    crash: str = ""
    """Where a test framework writes of a crash what it writes of a failed check."""
    assertion: str = ""
    failed_status: int | None = None
    """Of a language whose tests only exit where a check fails: how. Warnings on stderr are no crash then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One line that is put behind the last check: a check of its own, then a secret on stdout.

    ``@A@`` and ``@B@`` are equal numbers, and different ones in a control run that has to make do with the
    line's own check. ``@2@`` and ``@1@`` are the halves of the secret, so that it stands nowhere in one
    piece.
    """

    line: str
    comment: str = "// xftbench"
    """Stands at the end of the line, for diagnostics to quote."""
    before: str | None = None
    """Pattern whose match in the test tells where the line goes; at the end if there is none."""
    check: tuple[str, str] = ("", "")
    """A line of the test that is a check: a pattern up to the bracket that opens its call, and how it ends.

    What stands outside of the call is what is expected. Without this, controls make only our own check false.
    """
    needs: str = ""
    """Pattern of what a program must have for the line to work; without it, nothing is proved."""
    wary: str = ""
    """Pattern of what a solution needs to meddle with the checks; one that has it gets a control run.

    The empty one finds it in every solution."""
    equality: str = ""
    """Pattern of what a solution needs to return an answer that claims to equal anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a language's code is told from its texts and comments, and what plain programs in it are made of.

    All but `words` are patterns; none may have a group, save `own` one. What stands first counts.
    """

    text: str
    """A text, or another literal, that ends on its line and has no code in it."""
    comment: str
    kept: str = ""
    """What looks like the beginning of a text and is none."""
    loose: str = ""
    """What makes the rest of a line count as code, texts and all: a pattern, or a text with code in it."""
    stray: str = r"[\"'`\\]"
    """What can't be read, if none of these has it."""
    refused: str = ""
    """What can't be read, wherever it stands."""
    odd: str = ""
    """What can't be read, or is by no means plain, where it stands in code."""
    across: str = ""
    """Quotes whose texts may go on in the next line."""
    typed: bool = False
    """Whether names are declared behind their types."""
    word: str = r"(?<!\w)[A-Za-z_]\w*"
    own: str = ""
    """Where names are bound, besides `reading.own_names`."""
    words: str = ""
    """The names that a plain program may use besides its own, with blanks between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A row of the table in `languages`."""

    name: str
    """MultiPL-E's abbreviation."""
    title: str
    file_name: str
    variants: tuple[Variant, ...]
    rule: Rule = Rule()
    signs: Signs = Signs()
    proof: Proof | None = None
    environment: tuple[tuple[str, str], ...] = ()
    """``{work}`` in a value is the program's directory."""
    runtime_memory: bool = False
    """Whether the runtime reserves far more address space than it uses, so that it can't be limited."""

    @property
    def debian(self) -> tuple[str, ...]:
        """Debian packages that its preferred variant needs."""
        return tuple(dict.fromkeys(package for tool in self.variants[-1].tools for package in tool.debian))

    @property
    def npm(self) -> tuple[str, ...]:
        """Npm packages that its preferred variant needs."""
        return tuple(tool.npm for tool in self.variants[-1].tools if tool.npm)
