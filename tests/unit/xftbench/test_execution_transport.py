"""A candidate's pickle builds plain data in the referee: other calls are refused before they are made."""

import itertools
import pickle
import zoneinfo  # noqa: F401 - what a candidate may have imported
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy import memmap, vectorize

from xftbench.execution.inside import plain, rebuilders, transport


class Reduced:
    """Is pickled as a call of something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


def names(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def called(path: str) -> bytes:
    return pickle.dumps(Reduced(memmap, path, "uint8", "w+", 0, (3,)))


def called_as_of_old(path: str) -> bytes:
    return b"(" + names(f"V{path}", "Vuint8", "Vw+", "I0", "(I3", "tinumpy", "memmap") + b"."


def made(path: str) -> bytes:
    return b"cnumpy\nmemmap\n(" + names(f"V{path}", "Vuint8", "Vw+", "I0", "(I3") + b"tt\x81."


def made_as_an_index(path: str) -> bytes:
    function = pd.core.indexes.base._new_Index  # type: ignore[attr-defined]
    return pickle.dumps(Reduced(function, memmap, {"filename": path, "mode": "w+", "shape": (3,)}))


def made_as_a_vector(path: str) -> bytes:
    """An instance is called, which calls what it holds."""
    held = vectorize(memmap)
    return pickle.dumps(Reduced(held, path, "uint8", "w+", 0, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [called, called_as_of_old, made, made_as_an_index, made_as_a_vector])
def test_no_constructor_runs(make: Callable[[str], bytes], tmp_path: Path) -> None:
    target = tmp_path / "ans.png"
    with pytest.raises(plain.NotPlain):
        transport.load(make(str(target)))
    assert not target.exists()


@pytest.mark.parametrize("make", [called, called_as_of_old, made])
def test_what_is_refused_would_write_a_file(make: Callable[[str], bytes], tmp_path: Path) -> None:
    pickle.loads(make(str(tmp_path / "ans.png")))
    assert (tmp_path / "ans.png").exists()


def test_nothing_of_the_referee_s_own_is_changed() -> None:
    changes = b"cpandas.core.frame\nDataFrame\n(N(dV__eq__\ncbuiltins\nlist\nstb."
    with pytest.raises(plain.Tampered):
        transport.load(changes)


FORGED = [
    (rebuilders.zone, "zoneinfo", "../../etc/passwd"),
    (rebuilders.zone, "zoneinfo", ["UTC"]),
    (rebuilders.zone, "os", "name"),
    (rebuilders.view, "clear", {}),
    (rebuilders.view, "keys", []),
    (rebuilders.tensor, "numpy", False, [1], "__class__"),
    (rebuilders.record, "A", ("b", "b"), (1,)),
]


@pytest.mark.parametrize("call", FORGED)
def test_what_our_own_functions_would_not_be_asked_for_is_refused(call: tuple[Any, ...]) -> None:
    with pytest.raises(plain.NotPlain):
        transport.load(pickle.dumps(Reduced(*call)))


def test_a_time_zone_that_others_have_too_is_not_changed() -> None:
    zone = pickle.dumps(Reduced(rebuilders.zone, "zoneinfo", "Europe/Rome"), protocol=0)
    with pytest.raises(plain.Tampered):
        transport.load(zone[:-1] + b"(dS'key'\nNsb.")


def test_a_factory_that_is_a_function_stays_behind() -> None:
    value = defaultdict(lambda: defaultdict(list), {1: defaultdict(list, {2: [3]})})
    found = transport.load(transport.pack(value))
    assert found == value
    assert (found.default_factory, found[1].default_factory) == (None, list)


def test_a_program_finds_what_it_would_find_if_nothing_had_been_pickled() -> None:
    numbers = transport.trusted(
        transport.dump([np.nan, "a", np.array([np.nan, 1], dtype=object), float("nan")])
    )
    assert numbers[0] is np.nan
    assert numbers[2][0] is np.nan
    assert numbers[3] is not np.nan
    assert np.nan in numbers
    array = transport.trusted(transport.dump({"data": np.arange(6.0)}))["data"]
    array.resize((2, 4), refcheck=False)
    assert array[1].tolist() == [4.0, 5.0, 0.0, 0.0]


def test_an_endless_iterator_is_no_result() -> None:
    with pytest.raises(plain.NotPlain, match="too many"):
        transport.pack(itertools.repeat(0))


def test_plain_values_come_back() -> None:
    value = {"a": [1, (2.5, {3})], "b": complex(1, 2), "c": bytearray(b"x"), "d": range(3)}
    assert transport.load(transport.pack(value)) == value


EVIL = Path(__file__).parents[2] / "evil" / "contexts"


def pickled_by(name: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the pickle that a hostile program hands in."""
    monkeypatch.setattr(transport, "pack", transport.pack)  # the program replaces it
    exec((EVIL / f"own_pickle_{name}.txt").read_text(), {})
    return transport.pack(None)


@pytest.mark.parametrize(
    "name",
    ["with_a_state_of_a_subclass", "with_a_state_of_a_record", "of_codes_that_mean_nothing",
     "of_codes_in_a_call",
     "of_levels_that_are_none", "that_resizes_a_dtype_in_use", "that_changes_a_shared_dtype"],
)  # fmt: skip
def test_a_state_is_checked_and_given_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickled_by(name, monkeypatch)
    with pytest.raises(plain.NotPlain):
        transport.load(data)


def test_bytes_are_never_taken_for_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(plain.NotPlain):
        transport.load(pickled_by("of_a_record_that_is_objects", monkeypatch))
    found = transport.load(pickled_by("of_a_record_with_a_hidden_field", monkeypatch))
    assert tuple(found.dtype.fields) == ("a",)


@pytest.mark.parametrize(
    "kind",
    [
        "i4", ">i8", "?", ">U7", "S3", "V8", "O", "M8[25s]", "m8[D]", "M8", "c16",
        [("a", "i8"), ("b", "O")], [("x", [("p", ">i2")]), ("y", "M8[D]")],
        {"names": ["b", "a"], "formats": ["i4", "i4"], "offsets": [4, 0], "itemsize": 16},
        (np.record, [("a", "i4")]),
    ],
)  # fmt: skip
def test_dtypes_come_back(kind: Any) -> None:
    dtype = np.dtype(kind)
    found = transport.load(transport.pack(dtype))
    assert (found, found.type, found.flags) == (dtype, dtype.type, dtype.flags)


def test_what_a_dtype_was_made_of_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = transport.load(pickled_by("that_changes_fields_later", monkeypatch))
    assert isinstance(found["n"][0].item(), int), "an address, and not what is there"
