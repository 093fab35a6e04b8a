"""Problems that belong together: which they are, and that the statistics count them as one."""

import gzip
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from factories import a_spec, a_verdict
from planted import plant

from xftbench.benchmarks.clusters import clusters_of, counted_as
from xftbench.errors import StoreError
from xftbench.records import Problem
from xftbench.report.runs import read_runs
from xftbench.scoring.aggregate import aggregate
from xftbench.scoring.intervals import mean_interval
from xftbench.scoring.mcnemar import score_interval
from xftbench.scoring.paired import PairedTest, Question, Tally, below_p, compare_tallies
from xftbench.store.noise import Condition, certify
from xftbench.store.run_dir import read_scores, read_verdicts

DS1000 = Path(__file__).parents[4] / "shared/data/ds1000/ds1000.jsonl.gz"
SUITE = "multipl-e:java,js,cpp,php"
LANGUAGES = ("java", "js", "cpp", "php")
CLUSTER_OF = clusters_of(SUITE)

Tallies = dict[str, Tally]


def tasks(n: int, languages: tuple[str, ...] = LANGUAGES) -> list[str]:
    return [f"{language}/HumanEval_{number}_name" for language in languages for number in range(n)]


def alone(n: int) -> list[str]:
    return [f"HumanEval_{number}_name" for number in range(n)]


def with_skill(generator: np.random.Generator, n: int, languages: int = 4) -> np.ndarray:
    """Return which of `languages` translations of `n` problems a model solves; most often all or none."""
    skill = generator.beta(0.3, 0.4, n)
    return (generator.random((languages, n)) < skill).astype(int)


def as_tallies(solved: np.ndarray) -> Tallies:
    names = tasks(solved.shape[1])
    return {task: (1, int(passed)) for task, passed in zip(names, solved.ravel(), strict=True)}


@pytest.mark.parametrize(
    ("suite", "one", "other", "together"),
    [
        ("multipl-e", "js/HumanEval_0_has_close_elements", "rs/HumanEval_0_has_close_elements", True),
        ("multipl-e", "js/HumanEval_1_x", "js/HumanEval_10_x", False),
        ("multipl-e:mbpp-js,mbpp-rs", "js/mbpp_3_is_not_prime", "rs/mbpp_3_is_not_prime", True),
        ("multipl-e:js,mbpp-rs", "js/HumanEval_3_x", "rs/mbpp_3_x", False),
        ("multipl-e:js", "HumanEval_0_x", "HumanEval_1_x", False),
        ("multipl-e", "js/odd", "rs/odd", False),
        ("ds1000", "2", "6", True),
        ("ds1000:pandas", "2", "3", True),
        ("ds1000", "6", "7", False),
        ("ds1000", "998", "4000", False),
        ("ds1000", "odd", "2", False),
        ("humaneval", "HumanEval/0", "HumanEval/1", False),
    ],
)
def test_translations_and_variants_belong_together(suite: str, one: str, other: str, together: bool) -> None:
    cluster_of = clusters_of(suite)
    assert (cluster_of(one) == cluster_of(other)) is together


@pytest.mark.skipif(not DS1000.exists(), reason="needs DS-1000's data in ../shared/data")
def test_the_table_of_origins_is_what_the_data_says() -> None:
    with gzip.open(DS1000, "rt", encoding="utf-8") as lines:
        about = [json.loads(line)["metadata"] for line in lines]
    origins: dict[tuple[str, int], set[str]] = {}
    ours: dict[str, set[str]] = {}
    for row in about:
        task = str(row["problem_id"])
        origins.setdefault((row["library"], row["perturbation_origin_id"]), set()).add(task)
        ours.setdefault(clusters_of("ds1000")(task), set()).add(task)
    assert sorted(map(sorted, ours.values())) == sorted(map(sorted, origins.values()))
    assert (len(about), len(ours)) == (1000, 453)


def test_where_each_problem_stands_alone_every_number_is_what_it_was() -> None:
    names = alone(164)
    one = (
        {t: (1, int(i >= 9)) for i, t in enumerate(names)},
        {t: (1, int(not 9 <= i < 13)) for i, t in enumerate(names)},
    )
    many = (
        {t: (10, i * 7 % 11) for i, t in enumerate(names)},
        {t: (10, (i * 7 + i % 3) % 11) for i, t in enumerate(names)},
    )
    # Computed before there were clusters.
    for (before, after), expected in [
        (one, [0.266845703125, -0.014373710684724409, 0.08038406555798439, 0.686563742828281, 8,
               0.06228158774942428]),
        (many, [0.9790510474476276, -0.05051540283739813, 0.043762988015955066, 0.21723978199761887, 8,
                0.06715529648158343]),
    ]:  # fmt: skip
        test = compare_tallies(before, after, Question(), clusters_of("multipl-e:js"))
        assert test == compare_tallies(before, after, Question())
        found = [test.p_value, test.low, test.high, test.equivalence_p, test.net_needed, test.detectable]
        assert found == pytest.approx(expected, rel=1e-9)
        assert test.n_clusters == test.n_problems
    assert below_p(*one, 1, -0.01, clusters_of("multipl-e:js")) == below_p(*one, 1, -0.01)
    values = [float(i % 3 == 0) for i in range(161)]
    interval = mean_interval(values, 161, clusters=list(map(clusters_of("multipl-e:js"), alone(161))))
    assert interval == mean_interval(values, 161)
    assert interval == pytest.approx((0.26706361918610905, 0.41141532428374566), rel=1e-9)


def test_without_a_difference_translations_reject_about_5_times_of_100() -> None:
    generator = np.random.default_rng(20)
    tests = [
        compare_tallies(as_tallies(one), as_tallies(other), Question(), CLUSTER_OF)
        for one, other in (
            (with_skill(generator, 80), with_skill(generator, 80)) for _ in range(200)
        )
    ]  # fmt: skip
    assert 0.01 <= np.mean([test.p_value <= 0.05 for test in tests]) <= 0.1
    assert np.mean([test.low <= 0 <= test.high for test in tests]) >= 0.9


def test_a_gate_that_asks_for_proof_is_rarely_convinced_by_translations() -> None:
    generator = np.random.default_rng(21)
    pairs = [
        (as_tallies(with_skill(generator, 80)), as_tallies(with_skill(generator, 80))) for _ in range(400)
    ]
    assert 0.02 <= np.mean([below_p(*pair, 1, 0.0, CLUSTER_OF) <= 0.05 for pair in pairs]) <= 0.09
    assert np.mean([below_p(*pair, 1, 0.0) <= 0.05 for pair in pairs]) >= 0.12, "counted as independent"


def test_the_score_interval_is_the_one_that_resampling_clusters_gives() -> None:
    generator = np.random.default_rng(22)
    solved = with_skill(generator, 150, 7)
    # Not every problem can be said in every language.
    kept = generator.random(solved.shape) < 0.9
    values = solved[kept].astype(float)
    clusters = [str(number) for _, number in np.argwhere(kept)]
    drawn = generator.integers(0, 150, (4000, 150))
    sums, sizes = (solved * kept).sum(0), kept.sum(0)
    expected = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), [0.025, 0.975])
    assert mean_interval(list(values), len(values), clusters=clusters) == pytest.approx(expected, abs=0.006)
    independent = mean_interval(list(values), len(values))
    assert independent.high - independent.low < 0.6 * (expected[1] - expected[0])


def test_what_all_fail_or_all_pass_is_as_sure_as_that_many_clusters() -> None:
    clusters = [str(index % 50) for index in range(200)]
    assert mean_interval([1.0] * 200, 200, clusters=clusters) == mean_interval([1.0] * 50, 50)
    assert mean_interval([0.0] * 4, 4, clusters=["a"] * 4) == mean_interval([0.0], 1)


def test_a_single_failure_does_not_make_translations_independent() -> None:
    clusters = [str(index % 50) for index in range(200)]
    all_passed = mean_interval([1.0] * 200, 200, clusters=clusters)
    interval = mean_interval([0.0] + [1.0] * 199, 200, clusters=clusters)
    assert interval.low < all_passed.low
    assert interval.high - interval.low > 0.07


def test_clusters_of_equal_problems_are_worth_one_problem_each() -> None:
    few = [1.0] * 20 + [0.0] * 30
    four = mean_interval(few * 4, 200, clusters=[str(index) for index in range(50)] * 4)
    once = mean_interval(few, 50)
    assert four == pytest.approx(once, abs=0.01)
    assert four.high - four.low >= once.high - once.low


def changed(n: int, gained: int, lost: int) -> PairedTest:
    """Compare models that differ on these problems of `n`, in every language."""
    before = np.array([[0] * gained + [1] * (n - gained)] * 4)
    after = np.array([[1] * gained + [0] * lost + [1] * (n - gained - lost)] * 4)
    return compare_tallies(as_tallies(before), as_tallies(after), Question(), CLUSTER_OF)


def test_translations_that_all_agree_say_what_one_language_says() -> None:
    test = changed(100, 5, 1)
    assert (test.n_problems, test.n_clusters, len(test.gained), len(test.lost)) == (400, 100, 20, 4)
    interval = score_interval(5, 1, 100)
    assert (test.low, test.high) == pytest.approx(interval)
    assert test.p_value == pytest.approx(0.21875, abs=0.01)
    assert test.net_needed == 4 * 6
    assert "by cluster (100 of 400 problems)" in test.test


def test_no_difference_at_all_leaves_the_width_of_that_many_clusters() -> None:
    test = changed(100, 0, 0)
    assert (test.low, test.high) == pytest.approx(score_interval(0, 0, 100))
    assert test.p_value == 1.0


def test_strata_and_checks_are_counted_by_cluster_too() -> None:
    names = tasks(30)
    verdicts = [a_verdict(task, 0, "passed" if i % 30 < 12 else "failed") for i, task in enumerate(names)]
    verdicts = [msgspec.structs.replace(verdict, strict=verdict.verdict) for verdict in verdicts]
    problems = [
        Problem(task_id=task, prompt="", tags={"language": task.split("/")[0], "source": "humaneval"})
        for task in names
    ]
    together, apart = (
        aggregate(problems, verdicts, 1, cluster_of=CLUSTER_OF),
        aggregate(problems, verdicts, 1),
    )
    for ours, theirs in [
        (together.pass_at, apart.pass_at),
        (together.checks["strict"], apart.checks["strict"]),
        (together.strata[-1].pass_at, apart.strata[-1].pass_at),
    ]:
        assert ours[0].value == theirs[0].value
        assert ours[0].high - ours[0].low > 1.8 * (theirs[0].high - theirs[0].low)
    # Within a language no problem stands twice.
    assert together.strata[:-1] == apart.strata[:-1]


def test_runs_of_an_older_xftbench_are_read_and_have_todays_intervals(tmp_path: Path) -> None:
    names = tasks(30)
    path = plant(tmp_path, "old", [[i % 30 < 12] for i in range(120)], suite=SUITE, tasks=names)
    written = read_scores(path)
    read_verdicts(path, written)
    (run,) = read_runs([path])
    old, new = written.scores.at(1), run.scores_file.scores.at(1)
    assert old is not None
    assert new is not None
    assert new.value == old.value
    assert new.high - new.low > 1.8 * (old.high - old.low)
    scores = path / "scores.json"
    scores.write_text(scores.read_text().replace(f'"low": {old.low}', '"low": 0.123'))
    with pytest.raises(StoreError, match="does not agree"):
        read_verdicts(path, read_scores(path))


def test_noise_that_flips_a_problem_in_every_language_is_summed_before_it_is_squared() -> None:
    names = tasks(25)
    conditions = [
        Condition(batch_size=size, order="engine", seed=0, run_id=str(size), score=0.5) for size in (1, 2)
    ]
    runs = [dict.fromkeys(names, (1, 1)), {t: (1, int("_0_" not in t and "_1_" not in t)) for t in names}]
    certificate = certify("m", a_spec(suite=SUITE), conditions, runs, [{}, {}])
    assert certificate.floor == pytest.approx(1.96 * (2 * 4**2) ** 0.5 / 100)


def test_it_is_said_how_many_problems_count() -> None:
    assert counted_as(SUITE, 641, 161) == "counted as 161: translations of one problem are not independent"
    assert "variants of one question" in counted_as("ds1000:pandas", 291, 100)
    assert counted_as("ds1000", 5, 5) == ""
