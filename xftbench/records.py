"""The nouns of xftbench: one frozen record for each step a problem takes on its way to a score.

`Problem` -> `Prompt` -> `Sample` -> `Solution` -> `Program` -> `Outcome` -> `Verdict` -> `Scores`

A record is data only. Unknown fields are refused when one is read back, so a file of another version or
of another tool can't be taken for ours.
"""

from collections.abc import Mapping
from math import ceil
from typing import Literal, dataclass_transform

import msgspec

from xftbench.hashing import sha256_record

VerdictName = Literal[
    "passed", "failed", "timed_out", "out_of_memory", "compile_error", "crashed", "infrastructure_error"
]
"""What became of a program. `infrastructure_error` is ours, never the model's: it is retried, counted
apart and makes a score incomplete."""

VERDICTS: tuple[VerdictName, ...] = (
    "passed", "failed", "timed_out", "out_of_memory", "compile_error", "crashed", "infrastructure_error",
)  # fmt: skip

FinishReason = Literal["stop", "length"]


@dataclass_transform(frozen_default=True, kw_only_default=True)  # tells type checkers what subclasses inherit
class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records: immutable, keyword only, strict when decoded.

    msgspec does not hand `kw_only` down: a class whose required fields follow optional ones repeats it.
    """


class Problem(Record, kw_only=True):
    """One item of a benchmark; each benchmark adds what its own rule needs."""

    task_id: str
    """The upstream spelling, such as ``HumanEval/0``."""
    prompt: str
    """The text that the benchmark puts to a model, unedited."""
    entry_point: str = ""
    """Name of the function that the tests call, where there is one."""
    language: str = "python"
    """What the solution is written in."""
    stop: tuple[str, ...] = ()
    """Stop strings that the benchmark publishes for this problem, beside those of the prompt style."""
    needs: str = ""
    """A data set that the problem's own test would download, and that may be missing here."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    """What scores are broken down by, such as ``{"library": "Pandas"}``."""


Answerable = Mapping[str, Problem | None]
"""task_id -> a problem that a file of samples may answer; None where no more is known than its name."""


class FunctionProblem(Problem, kw_only=True):
    """A Python function that the benchmark's own ``check(candidate)`` judges."""

    canonical_solution: str
    """The reference completion; ``prompt + canonical_solution`` must pass."""
    test: str
    """Source that defines ``check(candidate)``."""


class NativeProblem(Problem, kw_only=True):
    """A function in another language, and the test that stands behind it in the same source file."""

    test: str
    """Appended to the solution after a newline; in many languages it begins with the closing brace."""


OracleName = Literal[
    "equal", "root", "anything", "zero_too", "other_surface", "other_digits", "as_set", "not_none"
]
"""By which comparison an answer to a test of evalplus is right; see `execution.inside.oracles`."""


class PlusProblem(Problem, kw_only=True):
    """A Python function that is judged by what the canonical solution returns for many inputs."""

    canonical_solution: str
    """The reference completion; ``prompt + canonical_solution`` is the reference."""
    contract: str
    """Assertions about valid arguments; for whoever makes further inputs."""
    base_input: bytes
    """The original tests' arguments, as the JSON that the data file holds."""
    plus_input: bytes
    """The added ones."""
    atol: float
    """Absolute tolerance of the comparison; 0 is evalplus' default, which is not the same as none."""
    oracle: OracleName
    content_sha256: str
    """Of everything that decides what is right."""


class AssertProblem(Problem, kw_only=True):
    """A Python function that is judged by assertions; the prompt is prose."""

    canonical_solution: str
    """A reference that stands alone."""
    setup: str
    """Runs behind the solution and before the assertions."""
    tests: tuple[str, ...]
    """The assertions."""
    shots: tuple["AssertProblem", ...] = ()
    """Solved problems that the published protocol shows before this one."""


class Prompt(Record, kw_only=True):
    """What is sent to a model for one problem."""

    task_id: str
    text: str
    """The raw text, or the user's message if `is_chat`."""
    response: str = ""
    """In a chat: the beginning of the model's own turn, which its reply goes on from."""
    is_chat: bool
    """Whether the checkpoint's own chat template is put around the text."""
    stop: tuple[str, ...]
    """Generation ends before the first of these strings."""


class SamplingParams(Record):
    """How completions are drawn."""

    n: int = 1
    """Samples per problem."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0
    """Each sample's own seed derives from this, its task_id and its index."""


class Sample(Record):
    """One draw for one problem."""

    task_id: str
    sample_index: int
    completion: str | None
    """What the model returned, up to the stop string, never edited."""
    solution: str | None = None
    """Only in samples made elsewhere: code that stands alone."""
    style: str | None = None
    """Prompt style that the completion answers: how it is read. None in samples made elsewhere."""
    seed: int | None = None
    n_prompt_tokens: int | None = None
    n_tokens: int | None = None
    """Tokens generated."""
    finish_reason: FinishReason | None = None
    stop_reason: str | None = None
    """The stop string that ended generation, if one did."""

    @property
    def key(self) -> "SampleKey":
        """Identity of the sample within its run."""
        return (self.task_id, self.sample_index)


SampleKey = tuple[str, int]


class Solution(Record):
    """Code taken out of a completion."""

    code: str
    rule: str
    """Name of the extraction rule that fired."""


class Program(Record, kw_only=True, tag_field="kind"):
    """Everything that is executed to judge one solution; each kind is run by a runner of its own."""

    task_id: str
    solution: str
    """Runs in the candidate's process."""

    @property
    def sha256(self) -> str:
        """Content hash of all that is executed."""
        return sha256_record(self)


class FunctionProgram(Program, kw_only=True, tag="function"):
    """A Python solution, and a test in another process that calls it."""

    entry_point: str
    """The name that `solution` must define and the checker calls."""
    context: str
    """Runs in the checker's process first: what the benchmark's test takes for granted."""
    test: str
    """Runs in the checker's process; defines ``check(candidate)``. The candidate never sees it."""
    names: tuple[str, ...] = ()
    """What else the test takes from the solution: its classes, or modules that it imports."""


class PlusProgram(Program, kw_only=True, tag="plus"):
    """A Python solution, and a problem of evalplus' suites whose inputs it is run on."""

    problem: PlusProblem

    @property
    def sha256(self) -> str:
        """Content hash of all that is executed; the problem's own stands for its inputs."""
        return sha256_record((self.task_id, self.solution, self.problem.content_sha256))


class NativeProgram(Program, kw_only=True, tag="native"):
    """A solution in another language, and the test that stands behind it in the same source file."""

    language: str
    """MultiPL-E's abbreviation, such as ``cpp`` or ``rs``."""
    test: str
    """Appended to the solution after a newline; in many languages it begins with the closing brace."""


class ContextProgram(Program, kw_only=True, tag="context"):
    """A Python snippet, and a test that inserts it in a program of its own (DS-1000)."""

    context: str
    """Defines ``test_execution(solution)`` and perhaps ``test_string(solution)``."""
    seeded: bool = True
    """Whether random numbers are seeded before anything runs."""


class Limits(Record):
    """What one program may use.

    The CPU limit is the one that decides: unlike wall time, it does not depend on how busy the machine is.
    """

    cpu_s: int = 3
    """CPU seconds of the candidate's process."""
    wall_s: float = 15.0
    """Wall seconds after which everything that the program started is killed."""
    memory_bytes: int = 4 << 30
    """Address space of each of the candidate's processes."""
    disk_bytes: int = 64 << 20
    """Size of the private scratch file system."""
    processes: int = 128
    """Processes and threads at a time."""
    scale: float = 1.0
    """Factor that `cpu_s` and `wall_s` were multiplied with; time limits of a runner's own take it too."""

    def scaled(self, factor: float) -> "Limits":
        """Return the same limits with more time, or less."""
        return msgspec.structs.replace(
            self, cpu_s=max(1, ceil(self.cpu_s * factor)), wall_s=self.wall_s * factor, scale=factor
        )


class Failure(Record):
    """The first input on which a program was wrong; each a short text for people."""

    input: str
    expected: str
    actual: str


class Outcome(Record, kw_only=True):
    """What running a program did."""

    verdict: VerdictName
    """What counts. On a plus suite: passed exactly if `base` and `plus` are."""
    detail: str = ""
    """First failing assertion, exception, signal or limit; at most a few hundred characters."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    base: VerdictName | None = None
    """Of a plus suite: on the benchmark's original inputs."""
    plus: VerdictName | None = None
    """Of a plus suite: on the added inputs, by evalplus' own rule."""
    strict: VerdictName | None = None
    """With the holes of the published rule closed, where it has some."""
    evidence: str = ""
    """How it is known that the checks ran, where the program itself runs them."""
    failure: Failure | None = None
    stderr: str = ""
    """The end of what the program or its compiler wrote there."""


class Verdict(Outcome, kw_only=True, omit_defaults=True):
    """A judged sample: one line of ``verdicts.jsonl``."""

    task_id: str
    sample_index: int
    rule: str
    """The extraction rule that produced `solution`."""
    solution: str
    """The code that was judged."""
    program_sha256: str

    @classmethod
    def of(cls, sample: Sample, solution: Solution, program_sha256: str, outcome: Outcome) -> "Verdict":
        """Book an outcome for the sample whose program it is."""
        return cls(
            task_id=sample.task_id,
            sample_index=sample.sample_index,
            rule=solution.rule,
            solution=solution.code,
            program_sha256=program_sha256,
            **msgspec.structs.asdict(outcome),
        )

    @property
    def outcome(self) -> Outcome:
        """What running the program did."""
        return Outcome(**{name: getattr(self, name) for name in Outcome.__struct_fields__})

    @property
    def key(self) -> SampleKey:
        """Identity of the sample that this judges."""
        return (self.task_id, self.sample_index)


class SampleRouting(Record):
    """How one reply's tokens were spread over the experts of a mixture: a line of ``routing.jsonl``.

    Sums over the tokens; expert 0 is the shared one where there is one.
    """

    task_id: str
    sample_index: int
    n_tokens: int
    has_shared: bool
    load: list[list[int]]
    """Layers by experts: tokens that the expert took part in."""
    weight: list[list[float]]
    """Layers by experts: sum of its weights."""
    entropy: list[float]
    """Layers: sum of the entropies of the routed scores, each as a share of the most it can be."""
    pairs: list[list[int]]
    """Layers by pairs of routed experts (1-2, 1-3, ..., 2-3, ...): tokens that chose both."""

    @property
    def key(self) -> SampleKey:
        """Identity of the sample within its run."""
        return (self.task_id, self.sample_index)
