"""The errors that xftbench expects, and the exit code of each.

XftbenchError           1  any expected failure; printed as one message, without a traceback
├─ UsageProblem         2  unknown benchmark, style or model name, or options that contradict each other
├─ DataFileError        3  a data file is missing, truncated or not the one that was pinned
├─ ToolchainError       3  a compiler, interpreter or environment that programs need is missing or broken
├─ NotComparableError   3  runs differ in more than the model, so they are not set side by side
├─ BackendError         4  a model could not be loaded, or its engine failed
├─ StoreError           5  a run directory can't be used: another spec or process, no space, not writable
│                          (and of `cli`: the output can't be written)
└─ SandboxError         6  the sandbox (never the model's program) failed

Whatever is not one of these is a bug and keeps its traceback.
"""


class XftbenchError(Exception):
    """An expected failure.

    Args:
        message: What was expected, what was found, and where. Lower case, no final period.
        hint: The next thing to do, printed on a line of its own after ``hint:``.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class UsageProblem(XftbenchError):  # noqa: N818 - it names the user's slip, not a program error
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class DataFileError(XftbenchError):
    """A benchmark or samples file is missing, unreadable or not what it should be."""

    exit_code = 3


class ToolchainError(XftbenchError):
    """What programs are compiled or run with is missing, or is not what it should be."""

    exit_code = 3


class NotComparableError(XftbenchError):
    """Two runs differ in more than the model, and the difference was not allowed by name."""

    exit_code = 3


class BackendError(XftbenchError):
    """A checkpoint could not be resolved or loaded, or the engine failed while generating."""

    exit_code = 4


class StoreError(XftbenchError):
    """A run directory belongs to another spec or process, or can't be written."""

    exit_code = 5


class SandboxError(XftbenchError):
    """The sandbox itself failed, so nothing is known about the program."""

    exit_code = 6
