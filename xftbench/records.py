"""The nouns of xftbench: one frozen record for each step a problem takes on its way to a score.

`Problem` -> `Prompt` -> `Sample` -> `Solution` -> `Program` -> `Outcome` -> `Verdict` -> `Scores`

A record is data only. Unknown fields are refused when one is read back, so a file of another version or
of another tool can't be taken for ours.
"""

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
    """Base of all records: immutable, keyword only, strict when decoded."""


class Problem(Record):
    """One item of a benchmark."""

    task_id: str
    """The upstream spelling, such as ``HumanEval/0``."""
    prompt: str
    """The text that the benchmark puts to a model, unedited."""
    entry_point: str
    """Name of the function that the tests call."""
    canonical_solution: str
    """The reference completion; ``prompt + canonical_solution`` must pass."""
    test: str
    """Source that defines ``check(candidate)``."""


class Prompt(Record):
    """What is sent to a model for one problem."""

    task_id: str
    text: str
    """The raw text, or the user's message if `is_chat`."""
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


class Program(Record):
    """Everything that is executed to judge one solution."""

    task_id: str
    solution: str
    """Runs in the candidate's process."""
    entry_point: str
    """The name that `solution` must define and the checker calls."""
    context: str
    """Runs in the checker's process first: what the benchmark's test takes for granted."""
    test: str
    """Runs in the checker's process; defines ``check(candidate)``. The candidate never sees it."""

    @property
    def sha256(self) -> str:
        """Content hash of all that is executed."""
        return sha256_record(self)


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
    processes: int = 32
    """Processes and threads at a time."""


class Outcome(Record):
    """What running a program did."""

    verdict: VerdictName
    detail: str = ""
    """First failing assertion, exception, signal or limit; at most a few hundred characters."""
    cpu_s: float = 0.0
    wall_s: float = 0.0


class Verdict(Record):
    """A judged sample: one line of ``verdicts.jsonl``."""

    task_id: str
    sample_index: int
    verdict: VerdictName
    detail: str
    rule: str
    """The extraction rule that produced `solution`."""
    solution: str
    """The code that was judged."""
    program_sha256: str
    cpu_s: float
    wall_s: float

    @property
    def key(self) -> SampleKey:
        """Identity of the sample that this judges."""
        return (self.task_id, self.sample_index)
