"""The checker against a candidate that is a thread of the test: no jail, and any message can be forged."""

import gc
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from xftbench.execution.inside import channel, checker, wire

Peer = Callable[[int], None]
TEST = "def check(candidate):\n    assert candidate(1) == 2, 'one'\n    assert candidate(2) == 3\n"


def judged(peer: Peer, test: str = TEST, context: str = "") -> list[str]:
    ours, theirs = socket.socketpair()
    with ours:

        def act() -> None:
            with theirs:
                peer(theirs.fileno())

        thread = threading.Thread(target=act)
        thread.start()
        try:
            return checker.judge({"context": context, "test": test, "entry_point": "f"}, ours.fileno())
        finally:
            ours.close()
            thread.join()


def say(fd: int, *message: object) -> None:
    channel.write_frame(fd, wire.encode(message, opaque=True))


def answering(function: Callable[..., object]) -> Peer:
    def peer(fd: int) -> None:
        frames = channel.FrameReader(fd)
        with suppress(channel.ChannelClosed):
            say(fd, "jailed")
            say(fd, "ready")
            while True:
                arguments, keywords = wire.decode(frames.read(wire.MAX_BYTES))
                try:
                    say(fd, "value", function(*arguments, **keywords))
                except Exception as error:  # noqa: BLE001 - it is sent on
                    say(fd, "error", type(error).__name__, type(error).__name__, str(error))

    return peer


def saying(*messages: tuple[object, ...], raw: bytes = b"", stays: bool = True) -> Peer:
    def peer(fd: int) -> None:
        with suppress(channel.ChannelClosed, ConnectionError):
            for message in messages:
                say(fd, *message)
            os.write(fd, raw)
            while stays and os.read(fd, 1000):
                pass

    return peer


def leaving(*messages: tuple[object, ...], raw: bytes = b"") -> Peer:
    return saying(*messages, raw=raw, stays=False)


JAILED, READY = ("jailed",), ("ready",)


def test_a_right_candidate_is_ok() -> None:
    assert judged(answering(lambda x: x + 1)) == ["ok"]


def test_a_wrong_candidate_fails_with_line_and_message() -> None:
    line = "assert candidate(1) == 2, 'one'"
    assert judged(answering(lambda x: x)) == ["assertion", line, "one", {"input": "1", "actual": "1"}]
    last = {"input": "2", "actual": "2"}
    assert judged(answering(lambda x: 2)) == ["assertion", "assert candidate(2) == 3", "", last]


def test_a_statement_of_several_lines_is_told_whole() -> None:
    test = "def check(f):\n    assert f(1) == [\n        2,\n    ]\n    assert f(2)\n"
    report = judged(answering(lambda x: x), test)
    assert report[1] == "assert f(1) == [\n        2,\n    ]"


def test_an_exception_arrives_as_its_builtin_type() -> None:
    def fails(x: int) -> int:
        raise KeyError("gone")

    line = "assert candidate(1) == 2, 'one'"
    assert judged(answering(fails)) == ["raised", "KeyError", "\"'gone'\"", line, {"input": "1"}]
    expects = "def check(f):\n    try:\n        f(1)\n    except KeyError:\n        return\n    assert 0"
    assert judged(answering(fails), expects) == ["ok"]


def test_an_unknown_exception_is_not_a_builtin_one() -> None:
    report = judged(saying(JAILED, READY, ("error", "Exception", "Odd", "text")))
    assert report[:3] == ["raised", "Exception", "Odd: text"]
    report = judged(saying(JAILED, READY, ("error", "print", "print", "text")))
    assert report[:3] == ["raised", "RemoteError", "print: text"]
    report = judged(saying(JAILED, READY, ("error", "UnicodeDecodeError", "UnicodeDecodeError", "text")))
    assert report[:3] == ["raised", "RemoteError", "UnicodeDecodeError: text"]


def test_stop_iteration_does_not_end_a_loop_of_the_test() -> None:
    test = "def check(f):\n    assert all(value == 2 for value in map(f, [1, 2, 3]))\n"
    report = judged(saying(JAILED, READY, ("error", "StopIteration", "StopIteration", "")), test)
    assert report[:2] == ["raised", "RuntimeError"]


def test_a_test_that_catches_everything_can_not_hide_a_dead_candidate() -> None:
    test = (
        "def check(f):\n    for x in range(3):\n"
        "        try:\n            f(x)\n        except BaseException:\n            pass\n"
    )
    assert judged(leaving(JAILED, READY), test) == ["gone"]


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        (leaving(), "unjailed"),
        (saying(("unjailed", "EPERM")), "unjailed"),
        (saying(READY), "unjailed"),
        (leaving(JAILED), "gone"),
        (saying(JAILED, ("unjailed", "a lie")), "violation"),
        (saying(JAILED, ("ok",)), "violation"),
        (saying(JAILED, ("compile", "SyntaxError", "SyntaxError", "x")), "compile"),
        (saying(JAILED, ("start", "ValueError", "ValueError", "x")), "start"),
        (saying(JAILED, ("start", "ValueError", 7, "x")), "violation"),
        (leaving(JAILED, READY), "gone"),
        (saying(JAILED, READY, ("ok",)), "violation"),
        (saying(JAILED, READY, ("value",)), "violation"),
        (saying(JAILED, READY, ("error", "ValueError", "ValueError")), "violation"),
        (leaving(JAILED, READY, raw=b"\0" * 7), "gone"),
        (saying(JAILED, READY, raw=b"\xff" * 8), "violation"),
        (saying(JAILED, READY, raw=b"\0" * 7 + b"\1?"), "violation"),
    ],
)
def test_what_a_candidate_says_about_itself_is_only_evidence(peer: Peer, kind: str) -> None:
    assert judged(peer)[0] == kind


def test_the_test_sees_context_entry_point_and_a_seeded_random() -> None:
    context = "import random\ndef helper(x):\n    return x + 1\ndef f(x):\n    '''a prompt'''\n"
    test = (
        "def check(candidate):\n    assert candidate(1) == helper(1) == f(1)\n"
        "    assert random.random() == 0.8444218515250481\n    assert __name__ != '__main__'\n"
    )
    assert judged(answering(lambda x: x + 1), test, context) == ["ok"]


def test_keywords_and_results_keep_their_types() -> None:
    test = "def check(f):\n    assert f(a=(1,), b={2: [3]}) == ((1,), {2: [3]})\n"
    assert judged(answering(lambda a, b: (a, b)), test) == ["ok"]


@pytest.mark.parametrize(
    ("test", "context"),
    [
        ("def check(", ""),
        ("raise ValueError", ""),
        ("x = 1", ""),
        (TEST, "1/0"),
        ("import sys; sys.exit()", ""),
    ],
)
def test_a_broken_benchmark_is_not_the_candidates_fault(test: str, context: str) -> None:
    assert judged(answering(lambda x: x + 1), test, context)[0] == "broken"


def test_an_argument_that_is_no_plain_data_is_the_benchmarks_fault() -> None:
    assert judged(answering(lambda x: x), "def check(f):\n    f(lambda: 1)\n")[0] == "broken"


def test_an_answer_that_can_not_be_shown_is_still_wrong() -> None:
    test = "def check(f):\n    assert False, f(1)\n"
    assert judged(answering(lambda x: 10**100_000), test) == [
        "assertion",
        "assert False, f(1)",
        "(a text that can't be shown)",
        {"input": "1", "actual": "<a number of 332193 bits>"},
    ]
    assert len(judged(answering(lambda x: "x" * 1_000_000), test)[2]) == 1000


@pytest.mark.parametrize("kind", ["compile", "start"])
def test_what_a_solution_says_of_its_end_is_reported_in_short(kind: str) -> None:
    report = judged(saying(JAILED, (kind, "x" * 5000, "\0" * 5000, "y" * 5_000_000)))
    assert report == [kind, "x" * 1000, "\0" * 1000, "y" * 1000]


@pytest.mark.parametrize("failure", [MemoryError, SystemExit])
def test_a_failure_that_can_not_be_told_is_the_candidates(
    failure: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(checker, "_failing_line", fail)
    report = judged(answering(lambda x: 0))
    assert report == ["raised", "MemoryError", "a failure that can't be told", ""]


@pytest.mark.parametrize("test", [TEST, TEST.replace("== 3", "is None")])
def test_no_answer_stays_in_the_checker(test: str) -> None:
    gc.collect()
    gc.disable()  # that of large answers comes too late
    try:
        assert judged(answering(lambda x: x + 1), test)[0] in ("ok", "assertion")
        assert not [one for one in gc.get_objects() if type(one) is checker.Candidate]
    finally:
        gc.enable()
