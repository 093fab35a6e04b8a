"""What evalplus itself says of samples; run by a Python that has evalplus' dependencies.

    PYTHONPATH=EVALPLUS python tests/parity/record_evalplus.py humaneval DATA.jsonl SAMPLES.jsonl OUT.jsonl

Calls evalplus' own `trusted_exec` and `check_correctness`, two samples at a time; imports nothing of ours.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def main(dataset: str, data: str, samples: str, out: str) -> None:
    os.environ["HUMANEVAL_OVERRIDE_PATH" if dataset == "humaneval" else "MBPP_OVERRIDE_PATH"] = data
    from evalplus.data import get_human_eval_plus, get_mbpp_plus
    from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
    from evalplus.evaluate import check_correctness
    from evalplus.gen.util import trusted_exec

    problems = get_human_eval_plus() if dataset == "humaneval" else get_mbpp_plus()
    with open(samples) as file:  # noqa: PTH123
        rows = [json.loads(line) for line in file]
    expected: dict[str, Any] = {}
    for task_id in dict.fromkeys(row["task_id"] for row in rows):
        problem = problems[task_id]
        not_none = dataset == "mbpp" and problem["entry_point"] in MBPP_OUTPUT_NOT_NONE_TASKS
        code = problem["prompt"] + problem["canonical_solution"]
        answers = expected[task_id] = {}
        for part in ("base", "plus"):
            answers[part], answers[f"{part}_time"] = trusted_exec(
                code,
                problem[f"{part}_input"],
                problem["entry_point"],
                record_time=True,
                output_not_none=not_none,
            )
    with ProcessPoolExecutor(2) as pool, open(out, "w") as file:  # noqa: PTH123
        futures = [
            pool.submit(
                check_correctness, dataset, 0, problems[row["task_id"]], row["solution"],
                expected[row["task_id"]], False, True,
            )
            for row in rows
        ]  # fmt: skip
        for row, future in zip(rows, futures, strict=True):
            result = future.result()
            row |= {"base": result["base"][0], "plus": result["plus"][0]}
            file.write(json.dumps({key: value for key, value in row.items() if key != "solution"}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
