"""Where the verdict of a plus suite hangs on more than the answers' values, it is evalplus' own."""

import marshal
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from factories import plus_problem

from xftbench.execution import plus, references
from xftbench.execution.inside import channel, items, plus_checker, wire
from xftbench.execution.inside.plus_solution import _equality_is_identity_of_bytes
from xftbench.execution.pool import Pool
from xftbench.execution.watch import Watch
from xftbench.execution.worker import Worker
from xftbench.records import Limits, Outcome, PlusProblem, PlusProgram

COMMON = plus_problem(
    "def f(a, b): return set(a) & set(b)\n", "f", [[[1, 2, 3], [2, 3]], [[5], [6, 5]]], "as_set"
)
DOUBLE = plus_problem("def f(x): return 2 * x\n", "f", [[1], [4]])
FOUND = plus_problem("def f(x): return [] if x > 0 else None\n", "f", [[1], [-1]], "not_none")
ROOT = plus_problem(
    "def find_zero(xs): return -xs[0] / xs[1]\n", "find_zero", [[[3, 4]], [[-1, 7]]], "root", 1e-4
)
MANY = plus_problem("def f(n): return list(range(n))\n", "f", [[3], [300_000]])


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with Pool(1, Limits(cpu_s=3, wall_s=60.0, scale=0.1)) as pool:
            yield pool


def judged(pool: Pool, solution: str, problem: PlusProblem) -> Outcome:
    return pool.submit(PlusProgram(task_id="Plus/0", solution=solution, problem=problem)).result()


@pytest.mark.parametrize(
    "answer", ["filter(lambda x: x in b, a)", "(x for x in a if x in b)", "iter(set(a) & set(b))"]
)
def test_an_iterator_of_the_right_items_is_right_strictly_too(answer: str, pool: Pool) -> None:
    outcome = judged(pool, f"def f(a, b): return {answer}\n", COMMON)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed")


def test_an_array_that_can_not_be_compared_item_by_item_is_wrong(pool: Pool) -> None:
    array = "import numpy\ndef f(a, b): return numpy.array({})\n"
    repeated = array.format("2 * [x for x in a if x in b]")
    assert judged(pool, array.format("[x for x in a if x in b]"), COMMON).verdict == "passed"
    assert judged(pool, repeated, COMMON).verdict == "failed"


def test_an_array_of_the_standard_library_is_no_number(pool: Pool) -> None:
    assert (
        judged(pool, "import array\ndef f(x): return array.array('i', [2 * x])\n", DOUBLE).verdict == "failed"
    )
    assert judged(pool, "import numpy\ndef f(x): return numpy.array([2 * x])\n", DOUBLE).verdict == "passed"


@pytest.mark.parametrize("found", ["x = []; x.append(x)", "x = iter(int, 1)"])
def test_where_only_none_counts_the_answer_may_be_anything(found: str, pool: Pool) -> None:
    outcome = judged(pool, f"def f(n):\n    {found}\n    return x if n > 0 else None\n", FOUND)
    assert outcome.verdict == "passed"


@pytest.mark.parametrize(
    "line",
    ["import subprocess; assert subprocess.Popen is None", "import shutil; assert shutil.rmtree is None"],
)
@pytest.mark.parametrize(
    "place", ["{line}\ndef f(x): return 2 * x\n", "def f(x):\n    {line}\n    return 2 * x\n"]
)
def test_what_is_taken_away_is_gone_wherever_it_is_imported(line: str, place: str, pool: Pool) -> None:
    assert judged(pool, place.format(line=line), DOUBLE).verdict == "passed"


@pytest.mark.parametrize(
    "line", ["sys.stdout.write(b'x')", "sys.stdout.write(1)", "sys.stdout.close(); print()"]
)
def test_what_can_not_be_printed_raises(line: str, pool: Pool) -> None:
    assert judged(pool, f"import sys\ndef f(x):\n    {line}\n    return 2 * x\n", DOUBLE).verdict == "failed"


def test_streams_that_one_part_has_lost_are_there_again_in_the_next(pool: Pool) -> None:
    source = "import sys\ndef f(x):\n    print(x)\n    if x == 4: del sys.stdout\n    return 2 * x\n"
    assert judged(pool, source, DOUBLE).verdict == "passed"


@pytest.mark.parametrize(
    ("before", "line", "verdict"),
    [
        ("", "print(x); sys.stdout.close()", "passed"),
        ("", "del sys.stderr", "passed"),
        ("", "sys.stdout = None", "passed"),
        ("sys.stdin = io.StringIO('1')", "input()", "failed"),
    ],
)
def test_each_call_has_streams_of_its_own(before: str, line: str, verdict: str, pool: Pool) -> None:
    source = f"import io, sys\n{before}\ndef f(x):\n    {line}\n    return 2 * x\n"
    assert judged(pool, source, DOUBLE).verdict == verdict


@pytest.mark.parametrize(
    "module",
    ["urllib.parse", "concurrent.futures", "xml.etree.ElementTree", "importlib.util", "unittest.mock"],
)
def test_what_evalplus_has_imported_is_found_in_its_package(module: str, pool: Pool) -> None:
    package = module.partition(".")[0]
    source = f"import {package}\ndef f(x):\n    assert {module}\n    return 2 * x\n"
    assert judged(pool, source, DOUBLE).verdict == "passed"


@pytest.mark.parametrize(
    "answer",
    [
        "np.complex128(-a / b)",
        "np.array([-a / b])",
        "next(r for r in np.roots(xs[::-1]) if np.isreal(r))",
        "[xs.__setitem__(0, np.array([a])), -a / b][1]",
    ],
)
def test_a_root_may_be_one_of_numpys_numbers(answer: str, pool: Pool) -> None:
    source = f"import numpy as np\ndef find_zero(xs):\n    a, b = xs\n    return {answer}\n"
    assert judged(pool, source, ROOT).verdict == "passed"


@pytest.mark.parametrize(
    "answer",
    ["[np.array(x) for x in c]", "tuple(map(np.array, c))", "np.array([c]).flat if len(c) > 1 else 0"],
)
def test_arrays_of_no_dimension_are_in_no_set(answer: str, pool: Pool) -> None:
    source = f"import numpy as np\ndef f(a, b):\n    c = [x for x in a if x in b]\n    return {answer}\n"
    outcome = judged(pool, source, COMMON)
    assert (outcome.verdict, outcome.strict) == ("failed", "failed")


def test_arrays_of_no_dimension_are_equal_to_numbers(pool: Pool) -> None:
    pair = plus_problem("def f(x): return [x, 1.5]\n", "f", [[1], [4]], atol=1e-6)
    source = "import numpy as np\ndef f(x): return [np.array(x), np.array(1.5)]\n"
    assert judged(pool, source, pair).verdict == "passed"


def test_strictly_no_number_of_half_precision_is_right_for_many(pool: Pool) -> None:
    large = plus_problem("def f(x): return 10000 * x + 1\n", "f", [[1], [40]])
    source = "import numpy as np\ndef f(x): return np.float16(10000 * x {})\n"
    for wrong in (source.format("+ 2"), source.format("+ 1")):
        outcome = judged(pool, wrong, large)
        assert (outcome.verdict, outcome.strict) == ("passed", "failed")


def test_an_array_may_hold_an_integer_of_any_size(pool: Pool) -> None:
    pair = plus_problem("def f(x): return (x, 10 ** x)\n", "f", [[1], [40]])
    source = "import numpy as np\ndef f(x): return (np.array(x), np.array(10 ** x{}))\n"
    assert judged(pool, source.format(""), pair).verdict == "passed"
    assert judged(pool, source.format(" + 1"), pair).verdict == "failed"


def test_what_a_counter_has_none_of_is_not_in_it(pool: Pool) -> None:
    counter = "from collections import Counter\ndef f(x): return Counter(x){}\n"
    problem = plus_problem(counter.format(""), "f", [["aab"], [""]])
    assert judged(pool, counter.format(" | Counter(z=0)"), problem).verdict == "passed"
    zero = "from collections import Counter\ndef f(x):\n    c = Counter(x)\n    c['z'] = {}\n    return c\n"
    assert judged(pool, zero.format(0), problem).verdict == "passed"
    assert judged(pool, zero.format(1), problem).verdict == "failed"


def test_a_pool_of_threads_may_be_large(pool: Pool) -> None:
    source = (
        "import time\nfrom concurrent.futures import ThreadPoolExecutor\ndef f(x):\n"
        "    with ThreadPoolExecutor(64) as threads:\n"
        "        return 2 * x * len(list(threads.map(time.sleep, [0.01] * 64))) // 64\n"
    )
    assert judged(pool, source, DOUBLE).verdict == "passed"


def test_a_solution_may_leave_many_files_open(pool: Pool) -> None:
    source = (
        "import asyncio\nLOOPS = []\ndef f(x):\n"
        "    LOOPS.extend(asyncio.new_event_loop() for _ in range(50))\n    return 2 * x\n"
    )
    assert judged(pool, source, DOUBLE).verdict == "passed"


def test_many_numbers_of_numpys_are_sent_as_fast_as_pythons(pool: Pool) -> None:
    outcome = judged(pool, "import numpy\ndef f(n): return list(numpy.arange(n))\n", MANY)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed")
    assert outcome.cpu_s < 3


def test_a_part_that_is_judged_stays_so_when_the_next_one_is_given_up(pool: Pool) -> None:
    """The checker, which compares many numbers of the same hash, is given up with the candidate."""
    problem = plus_problem("def f(n): return [n]\n", "f", [[1]], "as_set", plus_inputs=[[100_000]])
    source = "def f(n): return [n] if n == 1 else [i * (2**61 - 1) for i in range(n)]\n"
    outcome = judged(pool, source, problem)
    assert (outcome.base, outcome.plus) == ("passed", "timed_out")


def test_a_part_that_was_not_lived_to_is_judged_even_so(pool: Pool) -> None:
    problem = plus_problem("def f(n): return n\n", "f", [[1], [2]], plus_inputs=[[3]])
    outcome = judged(pool, "import os\ndef f(n): return os._exit(0) if n == 2 else n\n", problem)
    assert (outcome.base, outcome.plus) == ("crashed", "passed")


@pytest.mark.parametrize("line", ["raise ValueError('half \\ud83d')", "return 'half \\ud83d'"])
def test_half_an_emoji_in_what_is_told_of_a_failure_can_be_written(line: str, pool: Pool) -> None:
    outcome = judged(pool, f"def f(x):\n    {line}\n", DOUBLE)
    assert outcome.verdict == "failed"
    assert outcome.failure is not None
    assert "half" in outcome.failure.actual
    msgspec.json.encode(outcome)


def test_spaces_in_what_is_told_of_a_failure_are_as_they_were(pool: Pool) -> None:
    failure = judged(pool, "def f(x): return 'a   b'\n", DOUBLE).failure
    assert failure is not None
    assert failure.actual == "'a   b'"


def test_what_would_keep_the_checker_busy_is_no_right_answer_at_once(pool: Pool) -> None:
    wide = "def f(a, b): return range(10**13)\n"
    started = time.monotonic()
    assert judged(pool, wide, COMMON).verdict == "failed"
    assert judged(pool, wide.replace("a, b", "x"), FOUND).verdict == "failed"
    assert judged(pool, "def f(x): return range(10**13) if x > 0 else None\n", FOUND).verdict == "passed"
    assert time.monotonic() - started < 5


def test_a_fraction_may_have_as_many_digits_as_a_number_that_it_equals(pool: Pool) -> None:
    large = plus_problem("def f(n): return 3 ** n\n", "f", [[100_000]])
    outcome = judged(pool, "from fractions import Fraction\ndef f(n): return Fraction(3) ** n\n", large)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed")
    odd = "from fractions import Fraction\nodd = Fraction(1)\n"
    odd += "odd._numerator = odd._denominator = (1 << 1_000_000) - 1\ndef f(n): return odd\n"
    outcome = judged(pool, odd, large)
    assert (outcome.verdict, outcome.strict) == ("failed", "failed")
    assert "too many digits" in outcome.detail


@pytest.mark.parametrize("kind", ["compile", "start"])
def test_what_a_solution_says_of_its_end_is_reported_in_short(kind: str) -> None:
    """Or the harness would read hundreds of megabytes of it, bit by bit."""
    near, far = socket.socketpair()
    said = wire.encode((kind, "x" * 5000, "y" * 5000, "\0" * 5000), opaque=True)
    task: Any = SimpleNamespace(parts={"base": None})
    job = {"oracle": "equal", "parts": [{"name": "base"}]}
    with near, far:
        channel.write_frame(far.fileno(), wire.encode(("jailed",), opaque=True))
        channel.write_frame(far.fileno(), items.MESSAGE + said)
        report = plus_checker.judge(job, task, near.fileno(), -1, channel.Control(near))
    assert report["ended"] == report["base"]["report"] == [kind, "x" * 1000, "y" * 1000, "\0" * 1000]


def _part(packed: bytes) -> plus_checker._Part:
    """Return a part of three tests, of which the reference answered 7 to each."""
    body = bytearray()
    answers = [references.Answered("int", 0.0, items.of_value(7), packed, False)] * 3
    places = references._part(DOUBLE, answers, body)
    return plus_checker._Part(bytes(body), places, 0.0)


@pytest.mark.parametrize("n", [0, 2, 3, 4])
def test_all_tests_have_to_be_answered_and_no_more(n: int) -> None:
    near, far = socket.socketpair()
    task: Any = SimpleNamespace(parts={"base": _part(zlib.compress(marshal.dumps(7)))})
    with near, far:
        channel.write_frame(far.fileno(), wire.encode(("jailed",), opaque=True))
        head = items.RESULTS_HEAD.pack(items.RESULTS, -1, True)
        channel.write_frame(far.fileno(), head + n * items.of_value(7))
        job = {"oracle": "equal", "parts": [{"name": "base"}]}
        report = plus_checker.judge(job, task, near.fileno(), -1, channel.Control(near))
    assert (report["base"]["report"] == ["ok"]) == (n == 3)


def test_what_is_too_large_to_be_kept_equals_nothing() -> None:
    assert isinstance(_part(b"").value(1), wire.Opaque)


BUFFER = plus_problem("def f(n): return list(range(n))\n", "f", [[300], [2], [3]])


def test_an_answer_counts_as_it_was_returned_and_not_as_the_next_call_leaves_it(pool: Pool) -> None:
    late = (
        "B = [0] * 300\ndef f(n):\n    if n == 300:\n        return B\n"
        "    B[:] = range(300)\n    return list(range(n))\n"
    )
    judgement = judged(pool, late, BUFFER)
    assert (judgement.base, judgement.plus, judgement.strict) == ("failed", "failed", "failed")


@pytest.mark.parametrize(
    "line",
    ["B.extend(float(x) for x in range(n))", "import numpy as np; B.extend(np.arange(n))"],
    ids=["floats", "numpy"],
)
def test_a_list_that_each_call_fills_anew_is_right_each_time(line: str, pool: Pool) -> None:
    outcome = judged(pool, f"B = []\ndef f(n):\n    B.clear(); {line}\n    return B\n", BUFFER)
    assert (outcome.base, outcome.plus, outcome.strict) == ("passed", "passed", "passed")


def test_an_answer_that_a_thread_still_changes_is_wrong(pool: Pool) -> None:
    solution = (
        "import threading, time\ndef f(n):\n    B = [-1.0] * n\n    def fill():\n"
        "        while True:\n            B[0] = time.perf_counter()\n"
        "    threading.Thread(target=fill, daemon=True).start()\n    return B\n"
    )
    assert judged(pool, solution, BUFFER).verdict == "failed"


@pytest.mark.parametrize("line", ["map(int, ['a'])", "[map(int, ['a'])]", "(input() for _ in 'a')"])
def test_where_only_none_counts_what_is_lazy_stays_so(line: str, pool: Pool) -> None:
    outcome = judged(pool, f"def f(x): return {line} if x > 0 else None\n", FOUND)
    assert (outcome.base, outcome.strict) == ("passed", "passed")


_TIMEOUT = "import signal, time\ndef late(*_): raise TimeoutError\n"


@pytest.mark.parametrize(
    "before",
    ["signal.signal(signal.SIGALRM, late); time.sleep(0.5)", "signal.signal(signal.SIGALRM, signal.SIG_DFL)",
     "signal.signal(signal.SIGALRM, late); signal.alarm(1)",
     "assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (0, (0.0, 0.0))"],
    ids=["raises", "kills", "rings", "asks"],
)  # fmt: skip
def test_a_solution_may_use_the_signal_of_the_clock(before: str, pool: Pool) -> None:
    solution = f"{_TIMEOUT}{before}\ndef f(x):\n    time.sleep(0.3)\n    return 2 * x\n"
    outcome = judged(pool, solution, DOUBLE)
    assert (outcome.base, outcome.plus) == ("passed", "passed")


def test_a_timeout_of_the_solutions_own_works(pool: Pool) -> None:
    solution = (
        f"{_TIMEOUT}def f(x):\n    signal.signal(signal.SIGALRM, late)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
        "    try:\n        time.sleep(0.3)\n    except TimeoutError:\n        return 2 * x\n"
        "    finally:\n        signal.alarm(0)\n"
    )
    assert judged(pool, solution, DOUBLE).base == "passed"


def test_who_was_late_in_one_part_is_interrupted_in_the_next_at_the_same_place(pool: Pool) -> None:
    solution = (
        "import math, time\ndef f(x):\n    try:\n        time.sleep(3)\n    except Exception:\n"
        "        if hasattr(math, 'late'): raise\n        math.late = True\n    return 2 * x\n"
    )
    outcome = judged(pool, solution, plus_problem("def f(x): return 2 * x\n", "f", [[1]]))
    assert (outcome.base, outcome.plus, outcome.strict) == ("passed", "timed_out", "timed_out")


def test_a_timer_that_one_call_has_stopped_runs_in_the_next(pool: Pool) -> None:
    solution = f"{_TIMEOUT}def f(x):\n    signal.alarm(0)\n    return 2 * x\n"
    assert judged(pool, solution, DOUBLE).base == "passed"
    endless = (
        "import signal, time\ndef f(x):\n    if x == 1:\n        signal.alarm(0)\n"
        "    else:\n        time.sleep(30)\n    return 2 * x\n"
    )
    outcome = judged(pool, endless, DOUBLE)
    assert (outcome.verdict, outcome.cpu_s < 5, outcome.wall_s < 10) == ("timed_out", True, True)


def test_solutions_are_run_in_a_child_with_options_as_evalplus_does(pool: Pool) -> None:
    solution = (
        "import multiprocessing as mp, sys\ndef f(x):\n    child = mp.parent_process() is not None\n"
        "    child = child and mp.current_process().name != 'MainProcess' and not sys.argv[1].isdigit()\n"
        "    return 2 * x if child else None\n"
    )
    assert judged(pool, solution, DOUBLE).verdict == "passed"


def test_a_tolerance_that_floats_have_brought_is_not_strictly_there_for_what_follows(pool: Pool) -> None:
    source = "def f(n): return n / 2 if n % 2 else n * 10**9\n"
    wrong = "_f = f\ndef f(n): return _f(n) + (n == {})\n"
    problem = plus_problem(source, "f", [[2], [3]], plus_inputs=[[2], [3], [4]])
    before = judged(pool, source + wrong.format(2), problem)
    assert (before.base, before.failure and before.failure.input) == ("failed", "2")
    after = judged(pool, source + wrong.format(4), problem)
    assert (after.verdict, after.strict) == ("passed", "failed")
    assert "input 2" in after.evidence
    assert after.failure
    assert (after.failure.input, after.failure.actual) == ("4", "4000000001")


def test_a_second_reading_is_right_for_each_parts_own_inputs(pool: Pool) -> None:
    """By digits, 1 and 22 are 2 + 1 apart, and 123 and 256 are 1 + 3 + 3."""
    problem = plus_problem(
        "def f(a, b): return 99\n", "f", [[1, 22]], "other_digits", plus_inputs=[[123, 256]]
    )
    outcome = judged(pool, "def f(a, b): return 3 if a == 1 else 7\n", problem)
    assert (outcome.base, outcome.plus, outcome.strict) == ("passed", "passed", "passed")


def test_a_class_of_the_solutions_own_is_no_float_whatever_its_name(pool: Pool) -> None:
    half = plus_problem("def f(x): return x / 2\n", "f", [[1], [4]])
    assert judged(pool, "def f(x): return float(x / 2 + 1e-9)\n", half).verdict == "passed"
    own = "class float(float): pass\ndef f(x): return float(x / 2 + 1e-9)\n"
    assert judged(pool, own, half).verdict == "failed"


def test_each_part_has_its_own_minute_and_no_input_much_longer_than_it_may() -> None:
    layouts = tuple(references.Layout(name, 0, 0, 9) for name in references.PARTS)
    no_slow: dict[str, dict[int, float]] = {"base": {}, "plus": {}}
    reference = references.Reference("", Path(), Path(), layouts, 0.0, no_slow)
    program = PlusProgram(task_id="Plus/0", solution="", problem=DOUBLE)
    worker, watch = SimpleNamespace(), SimpleNamespace(limit_s=0.0)
    judgement = plus._Judgement(cast(Worker, worker), Limits(cpu_s=60), program, reference)
    limits_s = []
    for part, own_s in (("base", 5), ("base", 55), ("plus", 58), ("plus", 100), ("plus", 115)):
        watch.own_s = lambda own_s=own_s: float(own_s)
        assert judgement._hear(cast(Watch, watch), ["progress", part, 1]) is False
        limits_s.append(watch.limit_s)
    assert limits_s == [17, 62, 70, 112, 120]


def test_each_input_has_time_of_its_own_and_more_where_the_reference_takes_long(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.4 s with the scale of this pool, and 0.1 s times the factor for one."""
    layout = references.Layout("base", 0, 0, 3)
    assert plus._part(layout, {0: 0.5, 2: 1.5}, 4.0)["slow"] == {2: 6.0}
    monkeypatch.setattr(plus, "_REFERENCE_FACTOR", 200.0)
    source = "import time\ndef f(n):\n    while n == 2 and time.process_time() < 0.1: pass\n    return n\n"
    problem = plus_problem(source, "f", [[1], [3], [2]], plus_inputs=[[1]])
    slow = "import time\ndef f(n):\n    time.sleep({})\n    return n\n"
    assert judged(pool, slow.format("1 if n == 2 else 0.3"), problem).base == "passed"
    assert judged(pool, slow.format("1 if n == 1 else 0"), problem).base == "timed_out"


def test_an_answer_is_right_by_its_bytes_only_where_all_in_it_equals_itself() -> None:
    decides, nan = _equality_is_identity_of_bytes, float("nan")
    assert all(map(decides, (1, 0.5, 1j, "a", None, [0.5, (1, {2.5})], {"a": [0.5]}, {1: None})))
    assert not any(map(decides, (nan, complex(0, nan), [0.5, nan], (nan,), {nan}, {1: nan}, [[nan]], b"")))
