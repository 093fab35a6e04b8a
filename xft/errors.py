"""The errors that xft expects, and the exit code of each.

XftError                  1  any expected failure; printed as one message, without a traceback
├─ UsageProblem           2  options that contradict each other or are out of range
├─ CheckpointError        3  a checkpoint is missing, truncated, of the wrong kind or of the wrong shape
├─ ArchitectureError      4  this model can't be upcycled or merged, with the reason
├─ OutputError            5  the target exists, or can't be written
├─ ParityError            6  a self-check or a verification found a difference
├─ DataError              7  training data is missing, malformed or empty
└─ TrainingError          8  training diverged or can't be resumed

Whatever is not one of these is a bug and keeps its traceback.
"""


class XftError(Exception):
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


class UsageProblem(XftError):  # noqa: N818 - it names the user's slip, not a program error
    """The options contradict each other or are out of range."""

    exit_code = 2


class CheckpointError(XftError):
    """A checkpoint is missing, truncated, of the wrong kind or of the wrong shape."""

    exit_code = 3


class ArchitectureError(XftError):
    """The model is of a structure that the method can't be applied to."""

    exit_code = 4


class OutputError(XftError):
    """The target of a command exists already, or can't be written."""

    exit_code = 5


class ParityError(XftError):
    """Two things that must be equal are not."""

    exit_code = 6


class DataError(XftError):
    """Training data is missing, malformed, or nothing is left of it."""

    exit_code = 7


class TrainingError(XftError):
    """Training diverged, or can't be resumed."""

    exit_code = 8
