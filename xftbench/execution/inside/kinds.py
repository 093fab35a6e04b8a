"""What a candidate's pickle may name: the classes of plain data, and what rebuilds them.

DS-1000's results are numbers, texts, containers, arrays, tables, sparse matrices and tensors. Whoever adds a
class reads its methods first: the benchmark's tests will call them on attributes that a candidate chose.
"""

import sys

REBUILDERS = {
    ("xftbench.execution.inside.rebuilders", name)
    for name in ("tensor", "iterator", "flat", "record", "view", "zone")
} | {
    ("copyreg", "_reconstructor"), ("array", "array"), ("array", "_array_reconstructor"),
    ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "complex"),
    ("builtins", "slice"), ("builtins", "range"), ("builtins", "bytearray"), ("builtins", "list"),
    ("builtins", "dict"), ("builtins", "tuple"), ("builtins", "str"), ("builtins", "int"),
    ("builtins", "float"), ("builtins", "bool"), ("builtins", "bytes"), ("builtins", "memoryview"),
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "Counter"),
    ("collections", "deque"),
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "time"), ("datetime", "timedelta"),
    ("datetime", "timezone"), ("decimal", "Decimal"), ("fractions", "Fraction"), ("_codecs", "encode"),
    ("pytz", "_UTC"), ("pytz", "_p"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy.ma.core", "_mareconstruct"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"), ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
    ("pandas.core.indexes.period", "_new_PeriodIndex"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.period", "_unpickle_period"), ("pandas._libs.tslibs.nattype", "__nat_unpickle"),
    ("pandas._libs.interval", "__pyx_unpickle_IntervalMixin"),
    ("pandas.core.indexes.interval", "_new_IntervalIndex"),
}  # fmt: skip
"""Functions, and builtin classes, that build plain data from what they are given."""

CONSTANTS = {("pandas._libs.missing", "NA"), ("builtins", "object")}
"""What may only be named."""

CLASSES = {
    (module, name)
    for module, names in {
        "numpy": "ndarray matrix recarray record chararray poly1d",
        "numpy.ma.core": "MaskedArray mvoid",
        "pandas.core.frame": "DataFrame",
        "pandas.core.series": "Series",
        "pandas.core.indexes.base": "Index",
        "pandas.core.indexes.range": "RangeIndex",
        "pandas.core.indexes.numeric": "Int64Index UInt64Index Float64Index",
        "pandas.core.indexes.multi": "MultiIndex",
        "pandas.core.indexes.datetimes": "DatetimeIndex",
        "pandas.core.indexes.timedeltas": "TimedeltaIndex",
        "pandas.core.indexes.period": "PeriodIndex",
        "pandas.core.indexes.category": "CategoricalIndex",
        "pandas.core.indexes.interval": "IntervalIndex",
        "pandas.core.arrays.numpy_": "PandasArray",
        "pandas.core.arrays.datetimes": "DatetimeArray",
        "pandas.core.arrays.timedeltas": "TimedeltaArray",
        "pandas.core.arrays.period": "PeriodArray",
        "pandas.core.arrays.categorical": "Categorical",
        "pandas.core.arrays.interval": "IntervalArray",
        "pandas.core.arrays.integer": "IntegerArray Int8Dtype Int16Dtype Int32Dtype Int64Dtype "
        "UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype",
        "pandas.core.arrays.floating": "FloatingArray Float32Dtype Float64Dtype",
        "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
        "pandas.core.arrays.string_": "StringArray StringDtype",
        "pandas.core.arrays.sparse.array": "SparseArray",
        "pandas.core.arrays.sparse.dtype": "SparseDtype",
        "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype IntervalDtype PandasDtype",
        **{f"scipy.sparse._{kind}": f"{kind}_matrix {kind}_array" for kind in (
            "bsr", "coo", "csc", "csr", "dia", "dok", "lil"
        )},
        "torch.optim.sgd": "SGD",
        "dateutil.relativedelta": "relativedelta",
    }.items()
    for name in names.split()
}  # fmt: skip
"""Classes whose instances are made empty, and given their attributes."""

MADE_BY_CALLING = {
    ("numpy.ma.core", "MaskedConstant"), ("pandas._libs.interval", "Interval"),
    ("pandas._libs.sparse", "IntIndex"), ("pandas._libs.sparse", "BlockIndex"),
    ("pandas._libs.tslibs.period", "Period"), ("pandas.core.dtypes.dtypes", "PeriodDtype"),
    ("pandas.core.indexes.frozen", "FrozenList"), ("pandas.core.internals.managers", "BlockManager"),
    ("pandas.core.internals.managers", "SingleBlockManager"), ("torch", "Size"), ("torch", "device"),
}  # fmt: skip
"""Classes whose instances are pickled as a call of the class."""


def is_listed(kind: type) -> bool:
    """Return whether a class is one of those whose instances are made empty."""
    return (kind.__module__, kind.__qualname__) in CLASSES


def is_made_by_calling(module: str, name: str, found: type) -> bool:
    """Return whether a class is one whose instances are pickled as a call of it."""
    if module == "pandas._libs.tslibs.offsets":
        return issubclass(found, sys.modules[module].BaseOffset)
    return (module, name) in MADE_BY_CALLING or (module == "torch.return_types" and issubclass(found, tuple))


def is_plain(module: str, name: str, found: type) -> bool:
    """Return whether a class is plain data's: one of these, of numpy's numbers, or of the named tuples."""
    if (module, name) in CLASSES or is_made_by_calling(module, name, found):
        return True
    if module == "numpy":
        return issubclass(found, sys.modules["numpy"].generic)
    is_library_s = module.partition(".")[0] in ("pandas", "scipy", "sklearn", "torch")
    return is_library_s and issubclass(found, tuple) and hasattr(found, "_fields")
