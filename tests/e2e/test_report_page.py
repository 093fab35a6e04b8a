"""The report in a real browser: opened from disk, filtered, a diff expanded, dark, light and printed."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, open_page, until
from many_runs import write_run

from xftbench.cli import run
from xftbench.report.runs import into_tables, read_runs

EVIL = (
    '</script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 2">\n'
    "<!-- --><style>body{display:none}</style>{{ 7 * 7 }} & &lt; \u2028 \U0001f600"
)
SUITES = {"humaneval": 30, "other": 25}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for suite, n_problems in SUITES.items():
        for model, rate in (("sft", 0.4), ("moe", 0.55), ("xft", 0.6)):
            programs = [EVIL] if model == "xft" and suite == "humaneval" else []
            write_run(root, model, suite, n_problems=n_problems, n=2 if suite == "other" else 1, rate=rate,
                      programs=programs)  # fmt: skip
    return root


@pytest.fixture(scope="module")
def page(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert run(["-q", "report", str(runs), "--out", str(path), "--baseline", "sft"]) == 0
    return path


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(shared_browser: Any, page: Path) -> Any:
    open_page(shared_browser, page)
    choose(shared_browser, "f-a", "sft")
    choose(shared_browser, "f-b", "xft")
    yield shared_browser
    log = [entry for entry in shared_browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert log == [], "the console is clean"


def choose(browser: Any, select: str, value: str) -> None:
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))", select, value
    )  # fmt: skip
    settle(browser)


def settle(browser: Any) -> None:
    until(lambda: "of" in text(browser, "#status") and "search" not in text(browser, "#status"))


def text(browser: Any, selector: str) -> str:
    found: str = browser.execute_script("return document.querySelector(arguments[0]).textContent", selector)
    return found


def ids(browser: Any) -> list[str]:
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#problems .id')].map((node) => node.textContent)"
    )
    return found


def click_outcome(browser: Any, name: str) -> None:
    browser.execute_script("document.querySelector(`#tally [data-outcome='${arguments[0]}']`).click()", name)
    settle(browser)


def expected(runs: Path, kind: str) -> set[str]:
    """Which problems xft gains over sft or loses, from the verdicts themselves."""
    found = set()
    for table in into_tables(read_runs(sorted(runs.iterdir()))):
        before, after = table.run_of("sft"), table.run_of("xft")
        assert before is not None
        assert after is not None
        for task_id in table.task_ids:
            change = after.tally(task_id)[1] - before.tally(task_id)[1]
            if (change > 0) == (kind == "gained") and change != 0:
                found.add(task_id)
    return found


def test_gained_and_lost_are_those_of_the_verdicts(browser: Any, runs: Path) -> None:
    assert len(ids(browser)) == sum(SUITES.values())
    for kind in ("gained", "lost"):
        click_outcome(browser, kind)
        assert set(ids(browser)) == expected(runs, kind)
    assert not browser.find_element("id", "more").is_displayed(), "there is nothing more"
    click_outcome(browser, "")


def test_the_first_pair_is_one_that_stands_in_one_table(shared_browser: Any, tmp_path: Path) -> None:
    write_run(tmp_path, "chatty", "humaneval", n_problems=5, n=1, rate=0.5, style="chat")
    for name in ("old", "sft", "xft"):
        changes = {"style": "other"} if name == "old" else {}
        write_run(tmp_path, name, "mbpp", n_problems=5, n=1, rate=0.5, **changes)
    path = tmp_path / "report.html"
    assert run(["-q", "report", str(tmp_path), "--out", str(path), "--baseline", "sft"]) == 0
    open_page(shared_browser, path)
    settle(shared_browser)
    assert "sft → xft" in text(shared_browser, "#status")
    told = text(shared_browser, "#problems")
    assert "xft: not in this table" in told
    assert "no verdict" not in told


def test_an_outcome_never_lies_over_the_problem(browser: Any) -> None:
    for kind in ("changed", "passed"):
        click_outcome(browser, kind)
        gaps = browser.execute_script(
            "return [...document.querySelectorAll('#problems .row')].map((row) =>"
            "row.querySelector('.id').getBoundingClientRect().left"
            "- row.querySelector('.tag').getBoundingClientRect().right)"
        )
        assert min(gaps) > 0, kind
    click_outcome(browser, "")


def test_a_wide_name_is_broken_into_lines(shared_browser: Any, tmp_path: Path) -> None:
    wide = "m" * 80
    for model, rate in (("sft", 0.4), (wide, 0.6)):
        write_run(tmp_path / "runs", model, "humaneval", n_problems=9, n=1, rate=rate)
    assert run(["-q", "report", str(tmp_path / "runs"), "--out", str(tmp_path / "wide.html")]) == 0
    open_page(shared_browser, tmp_path / "wide.html")
    overflowing = shared_browser.execute_script(
        "return [...document.querySelectorAll("
        "'.say li, #differences td, #provenance summary, #problems .row span')]"
        ".filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)"
        ".map((node) => node.outerHTML)"
    )
    assert overflowing == []
    assert shared_browser.execute_script(
        "return [...document.querySelectorAll('#differences .scroll')]"
        ".every((node) => node.scrollWidth <= node.clientWidth)"
    )


def test_suites_that_were_run_in_two_ways_are_told_apart(shared_browser: Any, tmp_path: Path) -> None:
    for isolation in ("namespaces", "rlimits"):
        write_run(tmp_path / isolation, "m", "other", n_problems=4, n=1, rate=0.5, isolation=isolation)
    runs = [str(tmp_path / "namespaces"), str(tmp_path / "rlimits")]
    assert run(["-q", "report", *runs, "--out", str(tmp_path / "two.html")]) == 0
    open_page(shared_browser, tmp_path / "two.html")
    for nodes in ("#leaderboard .card > h3", "#f-table option"):
        texts = shared_browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", nodes
        )
        for isolation in ("namespaces", "rlimits"):
            assert sum(text.endswith(f"isolation: {isolation}") for text in texts) == 1, texts


def test_a_program_is_found_by_its_text_and_a_problem_by_its_suite(browser: Any) -> None:
    table = browser.execute_script(
        "const options = [...document.querySelectorAll('#f-table option')];"
        "return options.find((option) => option.text.startsWith('other')).value"
    )
    choose(browser, "f-table", table)
    assert all(name.startswith("other/") for name in ids(browser))
    assert len(ids(browser)) == SUITES["other"]
    choose(browser, "f-table", "")
    search = browser.find_element("id", "f-text")
    search.send_keys("solve_17(")
    until(lambda: set(ids(browser)) == {"humaneval/17", "other/17"})
    search.clear()


def test_an_error_class_keeps_the_problems_on_which_one_of_the_pair_had_it(browser: Any, runs: Path) -> None:
    choose(browser, "f-error", "failed")
    wrong = set()
    for table in into_tables(read_runs(sorted(runs.iterdir()))):
        for name in ("sft", "xft"):
            found = table.run_of(name)
            assert found is not None
            wrong |= {task for task in table.task_ids if found.tally(task)[1] < found.tally(task)[0]}
    assert set(ids(browser)) == wrong
    choose(browser, "f-error", "")


def test_a_diff_shows_both_programs_and_what_was_expected(browser: Any, runs: Path) -> None:
    click_outcome(browser, "lost")
    first = ids(browser)[-1]
    browser.execute_script("[...document.querySelectorAll('#problems .row')].pop().click()")
    until(lambda: browser.find_elements("css selector", "#problems pre.code[aria-label=program]"))
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#problems pre.code[aria-label=program]')]"
        ".map((pre) => [...pre.children].map((line) => line.textContent).join('\\n'))"
    )
    tables = into_tables(read_runs(sorted(runs.iterdir())))
    table = next(table for table in tables if first in table.task_ids)
    for name, code in zip(("sft", "xft"), shown, strict=True):
        found = table.run_of(name)
        assert found is not None
        assert code in [verdict.solution for verdict in found.verdicts[first]]
    failing = text(browser, "#problems .side:last-child .facts")
    assert "failing input" in failing
    assert "expected[2, 3]actual[" in failing
    assert browser.find_elements("css selector", "#problems pre.code span.only"), "what differs is marked"
    click_outcome(browser, "")


def test_markup_in_a_program_is_shown_and_does_nothing(browser: Any) -> None:
    assert ids(browser)[0] == "humaneval/0"
    browser.execute_script("document.querySelector('#problems .row').click()")
    until(lambda: browser.find_elements("css selector", "#problems pre.code[aria-label=program]"))
    shown = browser.execute_script(
        "return [...document.querySelectorAll('#problems pre.code[aria-label=program]')][1].textContent"
    )
    assert shown.replace("\n", "") == EVIL.replace("\n", "")
    assert browser.execute_script("return window.pwned") is None
    assert browser.execute_script("return document.images.length") == 0


def test_the_keyboard_is_enough(browser: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    def press(key: str) -> None:
        ActionChains(browser).send_keys(key).perform()

    press("/")
    assert browser.switch_to.active_element.get_attribute("id") == "f-text"
    press(Keys.ESCAPE)
    press("j")
    press("j")
    focused = browser.switch_to.active_element
    assert "humaneval/1" in focused.text
    press(Keys.ENTER)
    until(lambda: focused.get_attribute("aria-expanded") == "true")
    press("k")
    assert "humaneval/0" in browser.switch_to.active_element.text


def background(browser: Any) -> int:
    """Brightness of the page's background, 0 to 255."""
    color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    return int(sum(map(int, re.findall(r"\d+", color)[:3])) / 3)


def test_dark_follows_the_system_and_the_readers_choice(browser: Any) -> None:
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert (background(browser) < 60) == (scheme == "dark")
    browser.find_element("id", "theme").click()
    assert background(browser) > 200, "the reader chose light on a dark system"
    browser.execute_script("localStorage.clear()")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_prints_in_light_without_controls(browser: Any) -> None:
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert background(browser) == 255
    assert not browser.find_element("css selector", ".filters").is_displayed()
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 20_000


def test_nothing_is_fetched(page: Path) -> None:
    markup = page.read_text()
    assert "default-src 'none'" in markup
    urls = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(https?:[^"')\s>]+)""", markup))
    assert urls == set()


def test_two_pages_of_the_same_runs_hold_the_same_data(runs: Path, page: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    assert run(["-q", "report", str(runs), "--out", str(again), "--baseline", "sft"]) == 0
    strip = lambda path: re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", path.read_text())  # noqa: E731
    assert strip(again) == strip(page)


def test_figures_are_written_for_papers(runs: Path, tmp_path: Path) -> None:
    arguments = [
        "-q",
        "report",
        str(runs),
        "--out",
        str(tmp_path / "r.html"),
        "--plots",
        str(tmp_path / "plots"),
    ]
    assert run(arguments) == 0
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    stems = {Path(name).stem for name in names}
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}
    assert any(stem.startswith("scores-humaneval") for stem in stems)
    assert any(stem.startswith("cost-humaneval") for stem in stems)
