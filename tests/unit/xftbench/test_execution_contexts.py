"""Context programs: what passes, what each failure is called, and what a test leaves to a program."""

import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import contexts
import msgspec
import pytest

from xftbench.execution.contexts import _Job, _report_in, family
from xftbench.execution.inside import context as referee
from xftbench.execution.outcome import InfrastructureError
from xftbench.execution.pool import Isolation, Pool
from xftbench.execution.worker import WorkerLostError
from xftbench.records import Limits


@pytest.fixture(scope="module")
def judge() -> Iterator[contexts.Judge]:
    with contexts.judging() as judge:
        yield judge


PARALLEL = """from joblib import Parallel, delayed
result = np.array(Parallel(n_jobs=2)(delayed(np.add)(x, 0.125) for x in np.cumsum(data) * 7))
"""
DRAWING = """
import matplotlib.pyplot as plt
plt.plot(result)
plt.savefig("output.png")
"""
RIGHT = [
    (contexts.ARRAY, contexts.ARRAY_SOLUTION),
    (contexts.EQUALITY, contexts.EQUALITY_SOLUTION),
    (contexts.PLOT, contexts.SAME_PICTURE),
    (contexts.PLOT, contexts.OTHER_PICTURE),
    (contexts.ARRAY, PARALLEL),
    (contexts.ARRAY, "import getpass\ngetpass.getuser()\n" + contexts.ARRAY_SOLUTION),
    (contexts.ARRAY, contexts.ARRAY_SOLUTION + DRAWING),
    (contexts.ARRAY, "help(len)\nprint(copyright)\n" + contexts.ARRAY_SOLUTION),
]


@pytest.mark.parametrize(("context", "solution"), RIGHT)
def test_a_right_program_passes_and_was_compared_where_it_never_ran(
    judge: contexts.Judge, context: str, solution: str
) -> None:
    outcome = judge(context, solution)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed"), outcome
    assert "never ran in" in outcome.evidence


WRONG = [
    (contexts.ARRAY, "result = data", "failed", "exec_test"),
    (contexts.ARRAY, "result = unknown", "failed", "NameError"),
    (contexts.ARRAY, "results = 1", "failed", "KeyError"),
    (contexts.ARRAY, "result = (", "compile_error", "SyntaxError"),
    (contexts.ARRAY, "    result = data", "compile_error", "IndentationError"),
    (contexts.ARRAY, "while True: pass", "timed_out", "CPU"),
    (contexts.ARRAY, "result = np.ones(1 << 40)", "out_of_memory", "allocate"),
    (contexts.ARRAY, "import os; os.abort()", "crashed", "killed by"),
    (contexts.ARRAY, "import sys; sys.stdin.read()", "failed", "OSError"),
    (contexts.ARRAY, "import sys; list(sys.stdin)", "failed", "OSError"),
    (contexts.ARRAY, "input()", "failed", "OSError"),
    (contexts.ARRAY, "exit()", "failed", "SystemExit"),
    (contexts.ARRAY, contexts.ARRAY_SOLUTION + "\nquit(0)", "failed", "SystemExit"),
    (contexts.EQUALITY, "result = data", "failed", "not the expected one"),
    (contexts.EQUALITY, "result = iter([])", "failed", "not the expected one"),
    (contexts.PLOT, "plt.plot([1, 2])", "failed", "exec_test"),
    (contexts.STRING, "for _ in [1]: " + contexts.ARRAY_SOLUTION, "failed", "no loop is wanted"),
]


@pytest.mark.parametrize(("context", "solution", "verdict", "detail"), WRONG)
def test_a_failure_is_called_by_its_name(
    judge: contexts.Judge, context: str, solution: str, verdict: str, detail: str
) -> None:
    outcome = judge(context, solution)
    assert outcome.verdict == verdict, outcome
    assert detail in outcome.detail


def test_what_a_program_writes_to_stderr_is_kept(judge: contexts.Judge) -> None:
    outcome = judge(contexts.ARRAY, "import sys; print('to stderr', file=sys.stderr); result = 0")
    assert outcome.stderr == "to stderr\n"


def test_an_indented_solution_stands_where_the_context_wants_it(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace("[insert]\n", "def f(data):\n[insert]\nresult = f(data)\n")
    assert judge(context, "    return np.cumsum(data) * 7 + 0.125").verdict == "passed"
    assert judge(context, "return np.cumsum(data) * 7 + 0.125").verdict == "compile_error"


def test_the_generator_goes_on_where_the_test_left_it(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace(
        "    return test_input, generate", "    np.random.seed(5)\n    return test_input, generate"
    )
    solution = "assert np.random.rand() == np.random.RandomState(5).rand()\n" + contexts.ARRAY_SOLUTION
    assert judge(context, solution).verdict == "passed"


def test_tables_with_every_kind_of_missing_value_and_index_are_compared_apart(judge: contexts.Judge) -> None:
    made = (
        "import pandas as pd\n"
        "result = pd.DataFrame({'a': [1, pd.NA, 3], 'b': pd.to_datetime(['2020-01-01', None, '2020-01-03']),"
        " 'c': pd.Categorical(['x', 'y', None]), 'd': pd.array([1, None, 2], dtype='Int64'),"
        " 'e': pd.period_range('2020', periods=3, freq='M'), 'f': pd.timedelta_range('1D', periods=3),"
        " 'g': pd.date_range('2020', periods=3, tz='Europe/Berlin')},"
        " index=pd.interval_range(0, 3))"
    )
    check = (
        "def exec_test(result, ans):\n    import pandas as pd\n"
        "    pd.testing.assert_frame_equal(result, ans)\n    return 1\n\n"
    )
    context = contexts.ARRAY.replace(
        contexts.ARRAY[contexts.ARRAY.index("def exec_test") : contexts.ARRAY.index("exec_context =")], check
    ).replace(
        "    return test_input, generate_ans(copy.deepcopy(test_input))",
        f"    space = {{}}\n    exec({made!r}, space)\n    return test_input, space['result']",
    )
    context = context.replace("    exec({", "    __builtins__['exec']({") if False else context
    outcome = judge(
        context.replace("    exec('", "    import builtins\n    builtins.exec('").replace(
            '    exec("', '    import builtins\n    builtins.exec("'
        ),
        made,
    )
    assert outcome.verdict == "passed", outcome


def test_files_of_the_test_are_there(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace(
        "    code = exec", '    open("train.csv", "w").write("a,b")\n    code = exec'
    )
    solution = "assert open('train.csv').read() == 'a,b'\n" + contexts.ARRAY_SOLUTION
    assert judge(context, solution).verdict == "passed"


def test_an_object_of_the_tests_own_class_reaches_the_program(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace(
        "    test_input = np.arange(4.0)",
        "    class Box:\n        value = 3\n    box = Box()\n    test_input = np.arange(4.0)",
    ).replace("    return test_input, generate_ans(copy.deepcopy(test_input))",
              "    return (test_input, box), generate_ans(test_input)").replace(
        "data = test_input\n", "data, box = test_input\n"
    )  # fmt: skip
    assert judge(context, "assert box.value == 3\n" + contexts.ARRAY_SOLUTION).verdict == "passed"


def test_two_runs_draw_alike_if_seeded(judge: contexts.Judge) -> None:
    solution = "import random\nraise ValueError(str((np.random.rand(), random.random())))"
    assert judge(contexts.ARRAY, solution).detail == judge(contexts.ARRAY, solution).detail


LISTED = contexts.EQUALITY.replace("assert result == ans", "assert list(result) == ans")
OWN_FACTORY = """
import collections
result = collections.defaultdict(lambda: collections.defaultdict(list))
result["a"] = data.tolist()
"""
HOURS = contexts.EQUALITY.replace("result == ans", "[when.hour for when in result] == ans")
MONTHS = contexts.EQUALITY.replace("result == ans", "len(result) == len(ans) and result.freq is not None")
ANDERSON = contexts.EQUALITY.replace("result == ans", "result.statistic < 1 and len(result) == 3")
DOK = contexts.EQUALITY.replace("result == ans", "result.toarray().diagonal().tolist() == ans").replace(
    "import numpy as np\n", "import numpy as np\nimport scipy.sparse\n"
)
RESULTS = [
    (contexts.ARRAY, "result = np.ma.masked_invalid(np.cumsum(data) * 7 + 0.125)"),
    (contexts.ARRAY, "import array\nresult = array.array('d', np.cumsum(data) * 7 + 0.125)"),
    (contexts.ARRAY, "result = memoryview(np.cumsum(data) * 7 + 0.125)"),
    (contexts.ARRAY, "result = (np.cumsum(data) * 7 + 0.125).flat"),
    (
        contexts.ARRAY,
        "import collections as c\nresult = c.namedtuple('Four', 'a b c d')(*np.cumsum(data) * 7 + 0.125)",
    ),
    (LISTED, "result = iter(data.tolist())"),
    (LISTED, "result = map(float, data)"),
    (LISTED, "import itertools\nresult = itertools.chain(data[:1].tolist(), data[1:].tolist())"),
    (LISTED, "result = (float(x) for x in data)"),
    (LISTED.replace("list(result)", "[x for _, x in result]"), "result = enumerate(data.tolist())"),
    (LISTED, "import itertools\nresult = itertools.compress(data.tolist(), [1] * 4)"),
    (LISTED, "import itertools\nresult = itertools.starmap(max, [(x, x) for x in data])"),
    (LISTED, "result = iter(data)"),
    (LISTED, "result = reversed(data.tolist()[::-1])"),
    (LISTED, "result = dict.fromkeys(data.tolist()).keys()"),
    (LISTED, "result = dict(enumerate(data.tolist())).values()"),
    (LISTED.replace("list(result)", "[x for _, x in result]"), "result = dict(enumerate(data)).items()"),
    (
        LISTED.replace("list(result)", "[x.c for x in result]"),
        "import pandas as pd\nresult = list(pd.DataFrame({'a b': 0, 'c': data}).itertuples())",
    ),
    (LISTED.replace("list(result)", "result['a']"), OWN_FACTORY),
    (ANDERSON, "from scipy import stats\nresult = stats.anderson(data)"),
    (DOK, "from scipy import sparse\nresult = sparse.dok_array(np.diag(data))"),
    (contexts.ARRAY, "data.resize(5, refcheck=False)\nresult = np.cumsum(data[:4]) * 7 + 0.125"),
    (MONTHS, "import pandas as pd\nresult = pd.date_range('2020', freq=pd.DateOffset(months=1), periods=4)"),
    *(
        (
            HOURS,
            f"import pandas as pd\nresult = [pd.Timestamp(f'20200101T0{{h:.0f}}', tz={zone}) for h in data]",
        )
        for zone in (
            "__import__('pytz').FixedOffset(120)",
            "__import__('zoneinfo').ZoneInfo('Europe/Rome')",
            "__import__('dateutil.tz').tz.tzutc()",
            "__import__('dateutil.tz').tz.tzoffset('X', 60)",
            "__import__('dateutil.tz').tz.tzlocal()",
        )
    ),
]


@pytest.mark.parametrize(("context", "solution"), RESULTS)
def test_a_result_of_an_unusual_kind_is_compared_apart(
    judge: contexts.Judge, context: str, solution: str
) -> None:
    outcome = judge(context, solution)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed"), outcome


def test_a_context_that_fails_by_itself_is_not_the_programs_failure(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace(
        "    test_input = np", "    raise OSError('no network')\n    test_input = np"
    )
    outcome = judge(context, contexts.ARRAY_SOLUTION)
    assert outcome.verdict == "infrastructure_error"
    assert "no network" in outcome.detail


OWN_HEADER = """
import json, sys
inside = sys.modules["xftbench.execution.inside.snippet"]
header = {{"kind": "raised", "name": "a", "text": "b", "line": "c"}} | {changes}
inside._header = lambda *_: json.dumps(header).encode()
raise ValueError
"""
NOT_OURS = "a message that is none of ours"
LONG_HEADERS = [
    ("{'line': '-' * 20_000 + '1'}", NOT_OURS),
    ("{'name': 'x' * 3_000_000}", NOT_OURS),
    ("{'text': 'x' * 5_000_000}", "a frame of"),
    ("{'files': ['x' * 5_000]}", NOT_OURS),
]


@pytest.mark.parametrize(("changes", "detail"), LONG_HEADERS)
def test_a_header_is_short_or_it_is_none_of_ours(judge: contexts.Judge, changes: str, detail: str) -> None:
    honest = judge(contexts.ARRAY, OWN_HEADER.format(changes="{}"))
    assert (honest.verdict, honest.detail) == ("failed", "a: b (at c)")
    outcome = judge(contexts.ARRAY, OWN_HEADER.format(changes=changes))
    assert outcome.verdict == "failed", outcome
    assert detail in outcome.detail
    assert outcome.wall_s < contexts.LIMITS.wall_s / 2


def test_what_a_program_says_of_its_lines_is_no_line_of_the_test(judge: contexts.Judge) -> None:
    outcome = judge(contexts.ARRAY, OWN_HEADER.format(changes="{'line': 'assert x == 5'}"))
    assert outcome.failure is not None
    assert outcome.failure.expected == ""


FAILURES = [
    "OSError",
    "FileNotFoundError",
    "MemoryError",
    "RecursionError",
    "SystemExit",
    "KeyboardInterrupt",
]
ODD = """
class Odd:
    def __{method}__(self, *_):
        raise {failure}("of its own")
"""
ODD_CHECKS = [
    ("repr", "raise KeyError(Odd())"),
    ("str", "raise ValueError(Odd())"),
    ("str", "raise type('Other', (Odd, BaseException), {})"),
    ("eq", "assert Odd() == result"),
    ("del", "Odd()\n    assert 0"),
]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("method", "check"), ODD_CHECKS)
def test_what_a_results_own_code_raises_in_the_test_is_the_programs_failure(
    judge: contexts.Judge, method: str, check: str, failure: str
) -> None:
    context = contexts.ARRAY.replace("    np.testing.assert_allclose(result, ans)", f"    {check}")
    outcome = judge(ODD.format(method=method, failure=failure) + context, contexts.ARRAY_SOLUTION)
    is_memory = method == "eq" and failure == "MemoryError"
    assert outcome.verdict == ("out_of_memory" if is_memory else "failed"), outcome


def test_what_is_compared_may_be_something_that_has_no_text(judge: contexts.Judge) -> None:
    context = ODD.format(method="repr", failure="SystemExit") + contexts.EQUALITY.replace(
        "return data.tolist()", "return Odd()"
    )
    outcome = judge(context, contexts.EQUALITY_SOLUTION)
    assert outcome.verdict == "failed", outcome
    assert outcome.failure is not None
    assert outcome.failure.expected == "<Odd>"


LARGE_FILE = contexts.ARRAY.replace(
    "    test_input = np",
    "    open('data.bin', 'wb').write(bytes(test_case_id * 20 << 20))\n    test_input = np",
)
FILLS_DISK = "open('other.bin', 'wb').write(bytes(40 << 20))\n" + contexts.ARRAY_SOLUTION
LARGE_INPUT = contexts.EQUALITY.replace(
    "    test_input = np", "    np.empty(test_case_id - 1 << 20, 'V800')\n    test_input = np"
).replace("result == ans", "result[0] == ans[0]")
FILLS_MEMORY = contexts.EQUALITY_SOLUTION + "\nresult.append(bytes(150 << 20))"
NO_ROOM = [
    (LARGE_FILE, FILLS_DISK, contexts.ARRAY_SOLUTION, True, "failed"),
    (LARGE_FILE, FILLS_DISK, contexts.ARRAY_SOLUTION, False, "failed"),
    (LARGE_INPUT, FILLS_MEMORY, contexts.EQUALITY_SOLUTION, False, "out_of_memory"),
]


@pytest.mark.parametrize(("context", "hog", "honest", "seeded", "verdict"), NO_ROOM)
def test_a_program_that_leaves_no_room_for_the_next_input_fails(
    context: str, hog: str, honest: str, seeded: bool, verdict: str
) -> None:
    contexts.environment()
    limits = msgspec.structs.replace(contexts.LIMITS, memory_bytes=1 << 30)
    with Pool(1, limits) as pool:
        fails, passes = (
            pool.submit(contexts.program(context, solution, seeded=seeded)).result()
            for solution in (hog, honest)
        )
    assert passes.verdict == "passed", passes
    assert fails.verdict == verdict, fails
    assert "next input" in fails.detail


@pytest.mark.parametrize("kind", ["unjailed", "broken"])
def test_a_failure_of_our_own_in_a_referee_is_never_the_programs(kind: str) -> None:
    def fail() -> None:
        raise OSError("no room") if kind == "unjailed" else ValueError("no room")

    near, far = socket.socketpair()
    job_fd, null = os.memfd_create("job"), os.open(os.devnull, os.O_RDWR)
    os.write(job_fd, b'{"solution": "", "context": ""}')
    jail: Any = SimpleNamespace(open_scratch=fail)
    with near, far:
        pid = os.fork()
        if pid == 0:
            referee.serve([job_fd, far.fileno(), null], null, jail)
        os.waitpid(pid, 0)
        os.close(job_fd)
        os.close(null)
        worker: Any = SimpleNamespace(limits=Limits(), had_oom_kill=lambda was_killed: False)
        job = _Job(worker, worker, contexts.program(contexts.ARRAY, ""))
        job._hear_referee(near)
    job._ended = (0, 0.0)
    with pytest.raises(InfrastructureError, match="no room") as caught:
        job._judge("")
    assert isinstance(caught.value, WorkerLostError) == (kind == "unjailed")


def test_a_second_input_that_fails_by_itself_is_not_the_programs_failure(judge: contexts.Judge) -> None:
    context = contexts.ARRAY.replace(
        "    test_input = np",
        "    if test_case_id > 1:\n        raise OSError('no network')\n    test_input = np",
    )
    outcome = judge(context, contexts.ARRAY_SOLUTION)
    assert outcome.verdict == "infrastructure_error"
    assert "no network" in outcome.detail


def test_a_referee_that_reports_without_end_is_killed_at_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        near, far = socket.socketpair()
        worker: Any = SimpleNamespace(limits=Limits(), had_oom_kill=lambda was_killed: False)
        job = _Job(worker, worker, contexts.program(contexts.ARRAY, ""))
        job._pidfd, job._ended = os.pidfd_open(process.pid), (signal.SIGKILL, 0.0)
        with near, far:
            far.send(struct.pack("!Q", 2 << 20) + bytes(1000))
            assert not job._hear_referee(near)
        assert process.wait(10) == -signal.SIGKILL
        os.close(job._pidfd)
    outcome = job._judge("")
    assert (outcome.verdict, outcome.detail) == (
        "failed",
        "the program answered with a report that is too long",
    )


def test_a_report_in_pieces_is_put_together_and_nobody_waits_for_the_rest() -> None:
    worker: Any = SimpleNamespace(limits=Limits(), had_oom_kill=lambda was_killed: False)
    job = _Job(worker, worker, contexts.program(contexts.ARRAY, ""))
    near, far = socket.socketpair()
    body = b'[null, "ok"]'
    with near, far:
        far.send(struct.pack("!Q", len(body)) + body[:3])
        assert job._hear_referee(near)
        assert not job._hear_referee(near)
        assert job._report is None
        far.send(body[3:])
        assert not job._hear_referee(near)
    assert job._report == [None, "ok"]


REPORTS = [
    [None, "raised", "A", "b", "c", {"input": "1"}],
    [[9, 0.1], "assertion", "a", "b"],
    [None, "gone"],
]
NO_REPORTS = [
    5, {}, [], [None], [None, "what"], [None, ["ok"]], [None, "ok", "more"], [None, "raised", "A"],
    ["no", "ok"], [[], "ok"], [None, "stays", 5], [None, "assertion", "a", "b", {"input": 5}],
    [None, "assertion", "a", "b", "c"],
    [None, "ok", {}], [None, "gone", {"input": "1"}],
]  # fmt: skip


@pytest.mark.parametrize("said", REPORTS)
def test_a_report_is_what_a_referee_says(said: list[Any]) -> None:
    assert _report_in(json.dumps(said).encode()) == said


@pytest.mark.parametrize(
    "frame", [*(json.dumps(said).encode() for said in NO_REPORTS), b"[" * 500_000, b"9" * 5000, b"\xff", b""]
)
def test_a_report_that_is_none_is_the_programs_doing(frame: bytes) -> None:
    assert _report_in(frame) == [None, "violation", "a report that is none of ours"]


USES = [
    "import tensorflow as tf\nassert tf.reduce_sum(tf.constant([1.0, 2.0])).numpy() == 3\n"
    "from threadpoolctl import threadpool_info\nthreadpool_info()\n" + contexts.ARRAY_SOLUTION,
    contexts.ARRAY_SOLUTION + "\nimport tensorflow as tf\nresult = tf.constant(result)",
    contexts.ARRAY_SOLUTION + "\nresult = __import__('torch').tensor(result)",
    contexts.ARRAY_SOLUTION + "\nimport torch\nresult = torch.tensor(result).half().float()",
    contexts.ARRAY_SOLUTION
    + "\nimport torch\nx = torch.tensor(-result)\nresult = torch.complex(x, x).conj().imag",
]
NARROW = contexts.ARRAY.replace(
    "    np.testing.assert_allclose(result, ans)",
    "    assert 'bfloat16' in str(result.dtype)\n"
    "    result = result.float() if hasattr(result, 'float') else result.numpy().astype('f')\n"
    "    np.testing.assert_allclose(result, ans, rtol=0.01)",
)
COMPLEX = contexts.ARRAY.replace(
    "    np.testing.assert_allclose(result, ans)",
    "    assert 'complex32' in str(result.dtype)\n"
    "    np.testing.assert_allclose(result.cfloat().real, ans, rtol=0.01)",
)
NARROW_USES = [
    (NARROW, contexts.ARRAY_SOLUTION + "\nimport tensorflow as tf\nresult = tf.cast(result, tf.bfloat16)"),
    (
        NARROW,
        contexts.ARRAY_SOLUTION
        + "\nimport tensorflow as tf\nresult = tf.Variable(tf.cast(result, tf.bfloat16))",
    ),
    (NARROW, contexts.ARRAY_SOLUTION + "\nimport torch\nresult = torch.tensor(result).bfloat16()"),
    (COMPLEX, contexts.ARRAY_SOLUTION + "\nimport torch\nresult = torch.tensor(result).to(torch.complex32)"),
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
def test_torch_and_tensorflow_work_where_only_the_solution_wants_them(isolation: Isolation) -> None:
    contexts.environment()
    with Pool(1, contexts.LIMITS, isolation) as pool:
        programs = [*((contexts.ARRAY, text) for text in USES), *NARROW_USES]
        outcomes = [pool.submit(contexts.program(*program)).result() for program in programs]
    assert [outcome.strict for outcome in outcomes] == ["passed"] * len(programs), outcomes


def test_a_program_finds_imported_what_its_context_imports() -> None:
    def of(text: str) -> str:
        return family(contexts.program(text, ""))

    assert of("import numpy as np") == "numpy"
    assert of("    from scipy import stats") == "scipy"
    assert of("import numpy\nimport torch\nimport tensorflow as tf") == "tensorflow"
    assert of("import xgboost") == "sklearn"
    assert of("import seaborn as sns") == "plots"
    assert family(contexts.program("import numpy as np", "import keras")) == "tensorflow"
    assert family(contexts.program("import numpy as np", "__import__('torch')")) == "torch"
