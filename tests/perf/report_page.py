"""How large the page of a large comparison is, and how fast it opens: 5 models, 4 suites, 20 samples.

    python tests/perf/report_page.py

Every program differs from every other, half of its lines by chance: harder to pack than real samples.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from browser import chromium, open_page
from many_runs import write_run

from xftbench.cli import run

SUITES = {"humaneval": 164, "mbpp": 378, "multipl-e:java,js,cpp,php,swift,rs": 955, "ds1000": 1000}
MODELS = {"base": 0.3, "sft": 0.5, "moe": 0.56, "xft": 0.57, "soup": 0.52}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for suite, n_problems in SUITES.items():
            for model, rate in MODELS.items():
                write_run(root / "runs", model, suite, n_problems=n_problems, n=20, rate=rate)
        started = time.perf_counter()
        assert run(["-q", "report", str(root / "runs"), "--out", str(root / "report.html")]) == 0
        say(f"made in {time.perf_counter() - started:.1f} s")
        say(f"{(root / 'report.html').stat().st_size / 1e6:.1f} MB")
        with chromium(root / "profile") as browser:
            for _ in range(5):
                started = time.perf_counter()
                open_page(browser, root / "report.html")
                say(f"opened in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
