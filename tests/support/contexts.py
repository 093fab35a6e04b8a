"""Contexts in the format of DS-1000, made up: its own data may not be in this repository."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from xftbench.errors import ToolchainError
from xftbench.execution import environments
from xftbench.execution.environments import Environment
from xftbench.execution.pool import Pool
from xftbench.records import ContextProgram, Limits, Outcome

LIMITS = Limits(cpu_s=5, wall_s=30.0, memory_bytes=4 << 30, disk_bytes=64 << 20, processes=64)
Judge = Callable[..., Outcome]
"""(context, solution) -> the outcome."""

ARRAY = '''
import copy
import numpy as np

def generate_test_case(test_case_id):
    def generate_ans(data):
        return np.cumsum(data) * 7 + 0.125

    test_input = np.arange(4.0) + test_case_id
    return test_input, generate_ans(copy.deepcopy(test_input))

def exec_test(result, ans):
    np.testing.assert_allclose(result, ans)
    return 1

exec_context = r"""
import numpy as np
data = test_input
[insert]
"""

def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    for i in range(2):
        test_input, expected_result = generate_test_case(i + 1)
        test_env = {"test_input": test_input}
        exec(code, test_env)
        assert exec_test(test_env["result"], expected_result)
'''
ARRAY_SOLUTION = "result = np.cumsum(data) * 7 + 0.125"

_EQUAL = """def exec_test(result, ans):
    try:
        assert result == ans
        return 1
    except:
        return 0
"""
EQUALITY = ARRAY.replace(ARRAY[ARRAY.index("def exec_test") : ARRAY.index("exec_context =")], _EQUAL).replace(
    "return np.cumsum(data) * 7 + 0.125", "return data.tolist()"
)
EQUALITY_SOLUTION = "result = data.tolist()"

STRING = (
    ARRAY
    + """
def test_string(solution: str):
    assert "for" not in solution.split(), "no loop is wanted"
"""
)

PLOT = '''
import numpy as np
import matplotlib.pyplot as plt
from PIL import Image

def skip_plt_cmds(l):
    return all(p not in l for p in ["plt.show()", "plt.clf()", "plt.close()", "savefig"])

def generate_test_case(test_case_id):
    plt.plot([1, 2], [3, 5], "r--")
    plt.title("the secret title")
    plt.savefig("ans.png", bbox_inches="tight")
    plt.close()
    return None, None

def exec_test(result, ans):
    code_img = np.array(Image.open("output.png"))
    oracle_img = np.array(Image.open("ans.png"))
    sample_image_stat = code_img.shape == oracle_img.shape and np.allclose(code_img, oracle_img)
    if not sample_image_stat:
        ax = plt.gca()
        assert ax.get_title() == "the secret title"
    return 1

exec_context = r"""
import matplotlib.pyplot as plt
[insert]
plt.savefig('output.png', bbox_inches ='tight')
result = None
"""

def test_execution(solution: str):
    solution = "\\n".join(filter(skip_plt_cmds, solution.split("\\n")))
    code = exec_context.replace("[insert]", solution)
    for i in range(1):
        test_input, expected_result = generate_test_case(i + 1)
        test_env = {"test_input": test_input}
        exec(code, test_env)
        assert exec_test(test_env["result"], expected_result)
'''
SAME_PICTURE = 'plt.plot([1, 2], [3, 5], "r--")\nplt.title("the secret title")\nplt.show()'
OTHER_PICTURE = 'plt.bar([1, 2], [3, 5])\nplt.title("the secret title")'

CONTEXTS = {"array": ARRAY, "equality": EQUALITY, "plot": PLOT}


def program(context: str, solution: str, *, seeded: bool = True) -> ContextProgram:
    return ContextProgram(task_id="made-up", solution=solution, context=context, seeded=seeded)


def environment() -> Environment:
    """Return the environment that contexts run in; skips where it has not been created."""
    try:
        return environments.find("ds1000")
    except ToolchainError as error:
        pytest.skip(f"no environment: {error}")


@contextmanager
def judging() -> Iterator[Judge]:
    """Judge one program after another in the same place."""
    environment()
    with Pool(1, LIMITS) as pool:
        yield lambda context, solution: pool.submit(program(context, solution)).result()
