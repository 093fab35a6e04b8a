"""Every kind of planted pair that must not stand side by side, and every kind that may."""

import msgspec
import pytest
from factories import a_spec

from xftbench.errors import NotComparableError, UsageProblem
from xftbench.records import Limits, SamplingParams
from xftbench.store.comparable import check_allowed, comparable_key, differences, kind_of, refuse
from xftbench.store.spec import RunSpec

REFUSED = [
    ("style", {"style": "chat"}),
    ("prompts_sha256", {"prompts_sha256": "0" * 64}),
    ("sampling.temperature", {"sampling": SamplingParams(temperature=0.2)}),
    ("sampling.top_p", {"sampling": SamplingParams(top_p=0.95)}),
    ("sampling.n", {"sampling": SamplingParams(n=20)}),
    ("sampling.max_new_tokens", {"sampling": SamplingParams(max_new_tokens=256)}),
    ("engine", {"engine": "vllm"}),
    ("suite", {"suite": "mbpp"}),
    ("suite_version", {"suite_version": "0.9"}),
    ("data_sha256", {"data_sha256": "0" * 64}),
    ("n_problems", {"n_problems": 3}),
    ("problems_sha256", {"problems_sha256": "0" * 64}),
    ("extraction", {"extraction": "chat"}),
    ("policy", {"policy": "lenient"}),
    ("limits.cpu_s", {"limits": Limits(cpu_s=9)}),
    ("limits.memory_bytes", {"limits": Limits(memory_bytes=1 << 30)}),
    ("isolation", {"isolation": "rlimits"}),
    ("python", {"python": "3.12.7"}),
    ("libraries.numpy", {"libraries": {"numpy": "2.0.0"}}),
    ("toolchains.java", {"toolchains": {"java": "21"}}),
    ("options.floats", {"options": {"floats": "exact"}}),
    ("left_out", {"left_out": ("rust",)}),
]
MAY_DIFFER = [
    {"checkpoint_sha256": "0" * 64},
    {"sampling": SamplingParams(seed=7)},
    {"engine_version": "2"},
    {"dtype": "bfloat16"},
    {"device": "cuda"},
    {"processor": "2 x NVIDIA H100"},
    {"python": "3.11.9"},
]


def spec(**changes: object) -> RunSpec:
    """Return a spec with any field of either part changed."""
    base = a_spec(**changes)
    rest = {
        name: value
        for name, value in changes.items()
        if name in ("policy", "toolchains", "options", "left_out")
    }
    return msgspec.structs.replace(base, scoring=msgspec.structs.replace(base.scoring, **rest))


@pytest.mark.parametrize(("field", "change"), REFUSED, ids=[field for field, _ in REFUSED])
def test_a_planted_difference_refuses_the_pair_and_is_named(field: str, change: dict[str, object]) -> None:
    found = differences(spec(), spec(**change))
    assert [difference.field for difference in found] == [field]
    with pytest.raises(NotComparableError, match=field) as caught:
        refuse(found, [], "A and B")
    assert f"--allow {field}" in str(caught.value.hint)
    assert caught.value.exit_code == 3
    assert [difference.field for difference in refuse(found, [field], "A and B")] == [field]
    assert refuse(found, [field.split(".")[0]], "A and B"), "a group of fields can be named"
    assert comparable_key(spec(**change)) != comparable_key(spec())


@pytest.mark.parametrize("change", MAY_DIFFER, ids=lambda change: next(iter(change)))
def test_what_may_differ_is_noted_and_not_refused(change: dict[str, object]) -> None:
    found = differences(spec(), spec(**change))
    assert found, "it is told all the same"
    assert refuse(found, [], "A and B") == []
    assert comparable_key(spec(**change)) == comparable_key(spec())


def test_a_patch_release_of_a_library_is_noted_and_another_minor_one_refuses() -> None:
    old, patched, newer = (spec(libraries={"numpy": version}) for version in ("2.3.5", "2.3.6", "2.4.0"))
    assert [difference.kind for difference in differences(old, patched)] == ["noted"]
    assert [difference.kind for difference in differences(old, newer)] == ["refused"]
    compilers = [spec(toolchains={"cpp": version}) for version in ("g++ 12.2.0", "g++ 12.2.1")]
    assert [difference.kind for difference in differences(*compilers)] == ["refused"], "may flip a verdict"


def test_every_field_of_a_spec_refuses_unless_it_was_decided_otherwise() -> None:
    parts = (spec().generation, spec().scoring)
    free = {name for part in parts for name in part.__struct_fields__ if kind_of(name) != "refused"}
    assert free == {
        "checkpoint_sha256", "engine_version", "dtype", "device", "processor", "batch_size", "order",
    }  # fmt: skip


def test_what_a_samples_file_says_of_its_decoding_keeps_it_apart_from_those_that_differ_or_say_nothing() -> (
    None
):
    def stated(temperature: float) -> RunSpec:
        base = spec(engine="replay", sampling=SamplingParams(temperature=temperature))
        generation = msgspec.structs.replace(base.generation, stated=("temperature",))
        return msgspec.structs.replace(base, generation=generation)

    silent = spec(engine="replay")
    for before, after, told in (
        (stated(0.2), stated(0.8), ("0.2", "0.8")),
        (silent, stated(0.0), ("unknown", "0.0")),
    ):
        (found,) = differences(before, after)
        assert (found.field, found.before, found.after) == ("sampling.temperature", *told)
        assert found.kind == "refused"
        assert comparable_key(before) != comparable_key(after)


def test_samples_that_say_nothing_keep_their_identity() -> None:
    assert "stated" not in msgspec.to_builtins(spec(engine="replay").generation)


def test_one_allowed_field_does_not_allow_another() -> None:
    found = differences(spec(), spec(style="chat", isolation="rlimits"))
    with pytest.raises(NotComparableError, match="isolation"):
        refuse(found, ["style"], "A and B")
    with pytest.raises(NotComparableError, match="suite_version"):
        refuse(differences(spec(), spec(suite_version="0.9")), ["suite"], "A and B")


def test_allow_must_name_a_field() -> None:
    with pytest.raises(UsageProblem, match="stile"):
        check_allowed(["stile"])
    check_allowed(["style", "limits.cpu_s", "toolchains.java"])
