"""The prompt of the XFT paper, which took it from Magicoder; fixed by that protocol.

The paper's repository holds the requests for HumanEval(+), MBPP(+) and DS-1000 and how each was decoded.
For MultiPL-E it names a harness and no decoding, so ours is greedy as for the other completions.
"""

from xftbench.records import SamplingParams

HEAD = """\
You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable \
responses to user instructions.

@@ Instruction
"""
SOURCE = "ise-uiuc/xft @4c5e439, experiments/text2code.py"
GREEDY = SamplingParams(n=1, temperature=0.0, top_p=1.0, max_new_tokens=512)
"""16 to 28 problems a batch there; batches change the last bits, and some completions with them."""


def template(instruction: str) -> str:
    """Return the prompt for an instruction, up to where the response begins."""
    return f"{HEAD}{instruction}\n\n@@ Response\n"
