"""The hostile programs again, before the runner of plus suites, and some that know how it works.

The problem is HumanEval's `add` with inputs of our own, so the test needs no data that is not installed. A
hole that evalplus' own rule leaves open is closed by the strict verdict.
"""

import threading
from collections.abc import Iterator

import msgspec
import pytest
from factories import plus_problem
from hostile import CONTROLS, PROGRAMS, ROWS, Case, Scene, read_case
from survivors import settled, survivors

from xftbench.errors import SandboxError
from xftbench.execution.pool import Pool
from xftbench.records import Limits, Outcome, PlusProblem, PlusProgram

TIGHT = Limits(cpu_s=2, wall_s=12.0, memory_bytes=1 << 30, scale=0.25)
INPUTS = [[n, 2 * n + 7] for n in range(60)]


ADD = plus_problem(ROWS["HumanEval/53"]["prompt"] + ROWS["HumanEval/53"]["canonical_solution"], "add", INPUTS)
HALF = plus_problem("def half(x):\n    return x / 2\n", "half", [[3], [4]], "equal", 1e-4)
ZERO = plus_problem(
    "def find_zero(xs):\n    return -xs[0] / xs[1]\n", "find_zero", [[[3, 4]], [[-1, 7]]], "root", 1e-4
)


def run(scene: Scene, solution: str, problem: PlusProblem = ADD, limits: Limits = TIGHT) -> Outcome:
    return scene.run(PlusProgram(task_id=problem.task_id, solution=solution, problem=problem), limits)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFTBENCH_TEST_SECRET", "open sesame")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        scene = Scene(tmp_path_factory.mktemp("outside"), "namespaces")
        try:
            assert run(scene, ADD.prompt).verdict == "passed"
        except SandboxError as error:
            scene.close()
            pytest.skip(str(error))
        yield scene
        scene.close()


HOSTILE = [path for path in PROGRAMS if "task" not in read_case(path).header]


@pytest.mark.slow
@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_a_hostile_program_passes_nothing_and_leaves_nothing(path: object, scene: Scene) -> None:
    case: Case = read_case(path)  # type: ignore[arg-type]
    before, connections = survivors(), scene.n_connections
    outcome = run(scene, scene.fill_in(case.source))
    assert "passed" not in (outcome.verdict, outcome.base, outcome.plus, outcome.strict), outcome
    assert outcome.verdict != "infrastructure_error", outcome
    assert outcome.detail
    assert outcome.detail.isprintable()
    assert run(scene, ADD.prompt).verdict == "passed", "after: the same pool goes on"
    assert settled(before) == before, "no process survives"
    assert scene.n_connections == connections
    assert [entry.name for entry in scene.outside.iterdir()] == ["precious"]
    assert (scene.outside / "precious").read_text() == "precious"


FORGE = """
import os, struct, sys
def fds():
    for fd in range(3, 64):
        try:
            os.fstat(fd)
            yield fd
        except OSError:
            pass
def shout(data):
    for fd in fds():
        try:
            os.write(fd, struct.pack('!Q', len(data)) + data)
        except OSError:
            pass
"""
KNOWING = {
    "claims_that_all_is_done": FORGE + "shout(b'R' + struct.pack('<iB', -1, 1))\ndef add(x, y): return 0\n",
    "claims_it_twice": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1)); shout(b'R' + struct.pack('<iB', -1, 1))\n"
    "os._exit(0)\n",
    "items_that_equal_none": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + b'\\xff' * 4 * 60)\nos._exit(0)\n",
    "an_item_beyond_its_frame": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + struct.pack('<I', 1000) + b'i')\n",
    "more_answers_than_tests": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + (struct.pack('<I', 5) + b'i' + bytes(4)) * 5000)\n",
    "a_frame_of_a_terabyte": FORGE + "[os.write(fd, struct.pack('!Q', 1 << 40)) for fd in fds() if fd > 3]\n",
    "a_wire_value_with_a_type": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + struct.pack(\"<II\", 0xFFFFFFFC, 9) + b'{\"t\":[1]}')\n",
    "an_exception_that_is_none": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + struct.pack('<II', 0xFFFFFFFD, 4) + b'null')\n",
    "ready_again": FORGE + 'shout(b\'{"t":["jailed"]}\')\ndef add(x, y): return 1\n',
    "marshal_bytes_that_crash": FORGE
    + "shout(b'R' + struct.pack('<iB', -1, 1) + struct.pack('<I', 9) + b'r\\xff\\xff\\xff\\xff[[[[')\n",
    "reads_every_descriptor": FORGE
    + "found = [os.pread(fd, 1 << 20, 0) for fd in fds() if os.lseek(fd, 0, 1) >= 0 or True]\n"
    "def add(x, y): return found\n",
    "stops_the_clock": "import signal, time\ndef add(x, y):\n    signal.setitimer(signal.ITIMER_REAL, 0)\n"
    "    while True: pass\n",
    "catches_the_clock": "def add(x, y):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass\n",
    "sleeps": "import time\ndef add(x, y):\n    time.sleep(60)\n    return x + y\n",
    "sleeps_at_load": "import time\ntime.sleep(60)\ndef add(x, y): return x + y\n",
    "stuck_in_c": "def add(x, y):\n    return sum(range(10 ** 12))\n",
    "patches_marshal": "import marshal, json, os\nmarshal.dumps = lambda *a: b''\n"
    "json.dumps = lambda *a, **k: ''\nos.write = lambda fd, data: len(data)\ndef add(x, y): return 0\n",
    "mutates_the_answers": "G = []\ndef add(x, y):\n    G.append(x + y)\n    return G\n",
    "equals_everything": "class E(int):\n    def __eq__(self, other): return True\n"
    "    __hash__ = int.__hash__\ndef add(x, y): return E(0)\n",
    "exits_in_the_plus_part": "import os\nn = 0\ndef add(x, y):\n    global n\n    n += 1\n"
    "    n > 58 and os._exit(0)\n    return x + y\n",
}


@pytest.mark.parametrize("name", sorted(KNOWING))
def test_who_knows_the_protocol_gains_nothing(name: str, scene: Scene) -> None:
    before = survivors()
    outcome = run(scene, KNOWING[name])
    assert outcome.verdict not in ("passed", "infrastructure_error"), outcome
    assert outcome.strict == outcome.verdict
    assert run(scene, ADD.prompt).verdict == "passed"
    assert settled(before) == before


FORGED = """
import sys
ours = [module for name, module in [*sys.modules.items()] if name.endswith("plus_solution")][0]
for name in ("_as_bytes", "_as_value", "_as_name"):
    getattr(ours, name).__code__ = (lambda value, arguments: ITEM).__code__
def FUNCTION(*arguments): return 0
"""


@pytest.mark.parametrize("item", [b"\xff" * 4, b"", b"\xff" * 8, b"\0" * 4])
@pytest.mark.parametrize("oracle", ["equal", "root", "not_none", "as_set"])
def test_no_forged_item_is_a_right_answer(oracle: str, item: bytes, scene: Scene) -> None:
    problem = {
        "equal": ADD,
        "root": ZERO,
        "not_none": plus_problem("def some(x):\n    return x or None\n", "some", [[0], [4]], "not_none"),
        "as_set": plus_problem("def both(x):\n    return {x, 1.5}\n", "both", [[3], [4]], "as_set"),
    }[oracle]
    solution = FORGED.replace("FUNCTION", problem.entry_point).replace("ITEM", repr(item))
    outcome = run(scene, solution, problem)
    assert outcome.verdict not in ("passed", "infrastructure_error"), outcome
    assert "passed" not in (outcome.base, outcome.plus, outcome.strict), outcome


def test_an_answer_is_of_no_other_type_than_it_is(scene: Scene) -> None:
    renamed = "for name, module in [*sys.modules.items()]:\n    if name.endswith('plus_solution'):\n"
    renamed += "        module._type_name = lambda value: 'float'\n"
    outcome = run(scene, f"import sys\n{renamed}def half(x): return []\n", HALF)
    assert (outcome.base, outcome.plus, outcome.strict) == ("failed", "failed", "failed"), outcome


def test_lists_with_no_items_are_close_to_numbers_only_by_evalplus_rule(scene: Scene) -> None:
    halves = plus_problem("def half(x):\n    return [x / 2]\n", "half", [[3], [4]], "equal", 1e-4)
    outcome = run(scene, "def half(x): return [[]]\n", halves)
    assert (outcome.base, outcome.plus, outcome.strict) == ("passed", "passed", "failed"), outcome


@pytest.mark.parametrize(
    "solution",
    [
        pytest.param("def find_zero(xs):\n    xs.clear()\n    return 0\n", id="clears_its_arguments"),
        pytest.param("def find_zero(xs):\n    xs[:] = [0, 1]\n    return 0\n", id="changes_the_polynomial"),
    ],
)
def test_what_evalplus_lets_pass_does_not_pass_strictly(solution: str, scene: Scene) -> None:
    outcome = run(scene, solution, ZERO)
    assert (outcome.base, outcome.plus, outcome.verdict) == ("passed", "passed", "passed")
    assert outcome.strict == "failed"
    assert outcome.evidence


def test_a_swallowed_timeout_passes_only_by_evalplus_rule(scene: Scene) -> None:
    solution = (
        "import time\nlate = []\ndef add(x, y):\n    try:\n        if not late:\n            late.append(1)\n"
        "            time.sleep(1.6)\n    except Exception:\n        pass\n    return x + y\n"
    )
    outcome = run(scene, solution)
    assert outcome.verdict == "passed", outcome
    assert outcome.strict == "timed_out"


@pytest.mark.parametrize(
    "line",
    [
        "signal.setitimer(signal.ITIMER_REAL, 0); time.sleep(1.6)",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN); time.sleep(1.6)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(1.6)",
        "time.monotonic = lambda: 0; signal.alarm(0); time.sleep(1.6)",
    ],
)
def test_a_stopped_clock_passes_only_by_evalplus_rule(line: str, scene: Scene) -> None:
    solution = (
        "import signal, time\nlate = []\ndef add(x, y):\n    if not late:\n"
        f"        late.append(1)\n        {line}\n    return x + y\n"
    )
    outcome = run(scene, solution, limits=msgspec.structs.replace(TIGHT, cpu_s=20, wall_s=50.0))
    assert (outcome.verdict, outcome.strict) == ("passed", "timed_out"), outcome


def test_c_code_that_takes_too_long_is_interrupted_at_its_end_as_in_evalplus(scene: Scene) -> None:
    solution = (
        "late = []\ndef add(x, y):\n    if not late:\n"
        "        late.append(1)\n        sum(range(3 * 10**8))\n    return x + y\n"
    )
    outcome = run(scene, solution, limits=msgspec.structs.replace(TIGHT, cpu_s=20, wall_s=50.0))
    assert (outcome.verdict, outcome.strict) == ("timed_out", "timed_out"), outcome


def test_a_candidate_holds_no_file_of_ours(scene: Scene) -> None:
    """Where the harness runs as an ordinary user, it could change the file's mode."""
    solution = FORGE + (
        "held = [os.fstat(fd) for fd in fds()]\n"
        "assert not [status for status in held if status.st_mode >> 12 == 8 and status.st_size], held\n"
    )
    assert run(scene, solution + ADD.prompt).verdict == "passed"


NOT_FOR_EVALPLUS = {"fork_and_wait", "import_side_effects", "uses_scratch_and_tempfile", "large_intermediate"}
"""Right, but evalplus takes `os.fork` and `open` away; what needs more than the tight limits."""


@pytest.mark.slow
@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.stem)
def test_an_unusual_but_right_program_passes(path: object, scene: Scene) -> None:
    case: Case = read_case(path)  # type: ignore[arg-type]
    if "task" in case.header or path.stem in NOT_FOR_EVALPLUS:  # type: ignore[attr-defined]
        pytest.skip("another problem, or not allowed by evalplus")
    if needed := case.header.get("needs"):
        pytest.importorskip(needed)
    outcome = run(scene, case.source, limits=Limits(cpu_s=20, wall_s=50.0))
    assert outcome.verdict == "passed", outcome


def test_verdicts_do_not_depend_on_the_number_of_workers_nor_on_other_load(scene: Scene) -> None:
    solutions = [KNOWING[name] for name in ("mutates_the_answers", "sleeps", "equals_everything")]
    solutions += [
        ADD.prompt,
        "def add(x, y):\n    return x + y + (x == 41)\n",
        "def add(x, y):\n    raise KeyError\n",
    ]
    programs = [PlusProgram(task_id="Evil/0", solution=text, problem=ADD) for text in solutions * 4]
    verdicts = []
    for workers, burns in ((1, False), (16, False), (2, True)):
        stop = threading.Event()
        burner = threading.Thread(target=_burn, args=(stop,))
        if burns:
            burner.start()
        with Pool(workers, TIGHT) as pool:
            outcomes = [future.result() for future in [pool.submit(program) for program in programs]]
        stop.set()
        verdicts.append([(outcome.base, outcome.plus, outcome.strict) for outcome in outcomes])
    assert verdicts[0] == verdicts[1] == verdicts[2]


def _burn(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(10_000))


@pytest.mark.parametrize(
    "line",
    [
        "from multiprocessing import Pool",
        "from concurrent.futures import ProcessPoolExecutor",
        "import tempfile; tempfile.mkdtemp()",
        "import multiprocessing.dummy as m; assert m.Pool(1).map(abs, [-1]) == [1]",
    ],
)
def test_what_evalplus_has_imported_before_its_traps_is_not_caught_in_them(line: str, scene: Scene) -> None:
    assert run(scene, f"{line}\n{ADD.prompt}", limits=Limits()).verdict == "passed"


def test_a_record_of_an_array_is_no_right_answer(scene: Scene) -> None:
    wrapped = "import numpy\ndef add(x, y):\n    return numpy.rec.array([(x + y,)])\n"
    assert run(scene, wrapped).verdict == "failed"
