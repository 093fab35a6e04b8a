"""Every prompt style: one line for each benchmark. The wording stands in a module for each family."""

from xftbench.prompts.ds1000 import DS1000
from xftbench.prompts.evalplus import HUMANEVAL_PLUS, MBPP_PLUS
from xftbench.prompts.humaneval import HUMANEVAL
from xftbench.prompts.mbpp import MBPP
from xftbench.prompts.multipl_e import MULTIPL_E
from xftbench.prompts.style import Family

FAMILIES: dict[str, Family] = {
    "humaneval": HUMANEVAL,
    "humaneval+": HUMANEVAL_PLUS,
    "mbpp": MBPP,
    "mbpp+": MBPP_PLUS,
    "multipl-e": MULTIPL_E,
    "ds1000": DS1000,
}
"""Benchmark -> its styles."""
