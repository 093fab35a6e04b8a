"""Figures that a test looks at: what comes with one, and what is refused."""

from collections.abc import Iterator

import contexts
import pytest


@pytest.fixture(scope="module")
def judge() -> Iterator[contexts.Judge]:
    with contexts.judging() as judge:
        yield judge


TICKS = contexts.PLOT.replace(
    'assert ax.get_title() == "the secret title"',
    'assert [label.get_text() for label in ax.get_xticklabels()] == ["<0>", "<1>", "<2>"]',
)
DOTS = contexts.PLOT.replace("ax.get_title()", "plt.gcf().dpi > 200 and ax.get_title()")
THREE_TICKS = "plt.plot([0, 2])\nplt.xticks([0, 1, 2])\n"
FORMATTER = "plt.gca().xaxis.set_major_formatter({})\n"
OWN_FORMATTER = """
from matplotlib.ticker import Formatter
class Own(Formatter):
    def __call__(self, x, pos=None):
        return f"<{x:.0f}>"
"""
DRAWN = contexts.PLOT.replace(
    "assert ax.get_title()", 'plt.savefig("again.png")\n        assert ax.get_title()'
)
MADE_BY_FACTORIES = """
import mpl_toolkits.axisartist.floating_axes as fa
from mpl_toolkits.axes_grid1 import ImageGrid, host_subplot
from matplotlib.transforms import Affine2D
helper = fa.GridHelperCurveLinear(Affine2D().rotate_deg(30), extremes=(0, 1, 0, 1))
here = plt.gca()
plt.gcf().add_subplot(111, axes_class=fa.FloatingAxes, grid_helper=helper)
host_subplot(111).twinx()
ImageGrid(plt.gcf(), 111, (2, 2))
plt.sca(here)
"""
ARTISTS = """
import mpl_toolkits.axisartist as aa
here = plt.gca()
plt.gcf().add_subplot(axes_class=aa.Axes)
plt.sca(here)
"""
NORMS = """
from matplotlib import colors
for norm in (colors.LogNorm(), colors.SymLogNorm(1), colors.AsinhNorm(), "symlog", "asinh"):
    plt.imshow([[1, 2], [3, 4]], norm=norm)
plt.colorbar()
"""
DATES = """
import datetime
import matplotlib.dates as mdates
plt.plot([datetime.date(2020, 1, 1), datetime.date(2022, 2, 1)], [0, 1])
plt.gca().xaxis.set_major_locator(mdates.MonthLocator(interval=4))
plt.gca().xaxis.set_minor_locator(mdates.WeekdayLocator(mdates.MO, interval=5))
"""
SERIES = """
import pandas as pd
pd.Series([1, 2, 3], index=pd.date_range('2020', periods=3)).plot()
"""
TABLES = """
import pandas as pd
from matplotlib.patches import PathPatch
from matplotlib.textpath import TextPath
plt.gca().add_patch(PathPatch(TextPath((0, 0), "text")))
table = pd.DataFrame({"a": [1, 2], "b": pd.array([1, None], dtype="Int64"), "c": ["x", "y"]})
plt.gcf().tables = [table, table.index, table.a, table.b.array, table.to_records(), pd.cut(table.a, 2)]
plt.gcf().arrays = np.matrix([1]), np.array([[1], [2, 3], None, np.zeros(3)], dtype=object)
plt.plot(table.c, table.a)
plt.plot(table.b[:1], table.a[:1])
"""
OTHERS = """
from matplotlib import legend_handler, widgets
plt.gca().callbacks.connect("xlim_changed", print)
plt.gcf().canvas.mpl_connect("button_press_event", plt.gca().set_title)
plt.gcf().button = widgets.Button(plt.axes([0.9, 0.9, 0.1, 0.1]), "q"), plt.gcf().canvas, plt.rcParams
plt.sca(plt.gcf().axes[0])
first, second = plt.plot([1, 2]) + plt.plot([2, 1])
plt.legend([(first, second)], ["both"], handler_map={tuple: legend_handler.HandlerTuple(ndivide=None)})
plt.gca().kind = int
plt.gca().yaxis.set_major_formatter("{x:.2f} m")
"""
FIGURES = [
    (TICKS, THREE_TICKS + FORMATTER.format("plt.FuncFormatter(lambda x, _: f'<{x:.0f}>')")),
    (TICKS, THREE_TICKS + "def named(x, pos):\n    return f'<{pos}>'\n" + FORMATTER.format("named")),
    (TICKS, THREE_TICKS + FORMATTER.format("plt.FuncFormatter('<{:.0f}>'.format)")),
    (TICKS, THREE_TICKS + OWN_FORMATTER + FORMATTER.format("Own()")),
    (TICKS, "plt.plot([0, 2])\nplt.xticks([0, 1, 2], ['<0>', '<1>', '<2>'])\n"),
    (contexts.PLOT, "plt.gca().format_coord = lambda x, y: 'here'\n"),
    (contexts.PLOT, "plt.gca().secondary_yaxis('right', functions=(lambda x: 2 * x, np.deg2rad))\n"),
    (contexts.PLOT, "plt.gcf().made = (number for number in range(3))\n"),
    (contexts.PLOT, "plt.gcf().made = __import__('functools').partial(print)\n"),
    (contexts.PLOT, "plt.xkcd()\nplt.plot([1, 2])\n"),
    (
        contexts.PLOT,
        "import matplotlib.patheffects as pe\nplt.text(0, 0, 'a').set_path_effects([pe.withStroke()])\n",
    ),
    (DRAWN, "plt.plot([1, 2], label='a')\nplt.xscale('log')\nplt.legend()\n"),
    (DRAWN, "here = plt.gca()\nplt.axes([0.8, 0.8, 0.1, 0.1], projection='polar')\nplt.sca(here)\n"),
    (DRAWN, NORMS),
    (contexts.PLOT, "from matplotlib.colors import FuncNorm\nplt.imshow([[1]], norm=FuncNorm((abs, abs)))\n"),
    (DRAWN, DATES),
    (DRAWN, SERIES),
    (contexts.PLOT, ARTISTS),
    (DOTS, "plt.gcf().set_dpi(300)\n"),
    (contexts.PLOT, MADE_BY_FACTORIES),
    (DRAWN, TABLES),
    (DRAWN, OTHERS),
]


@pytest.mark.parametrize(("context", "solution"), FIGURES)
def test_functions_in_a_figure_stay_behind_and_what_a_test_sees_comes(
    judge: contexts.Judge, context: str, solution: str
) -> None:
    title = "import numpy as np\nplt.title('the secret title')\n"
    outcome = judge(context, title + solution)
    assert (outcome.verdict, outcome.strict) == ("passed", "passed"), outcome


def test_a_moved_figure_is_drawn_as_it_was(judge: contexts.Judge) -> None:
    """As problem 601's test does it: where ticks come to be depends on the transforms."""
    looks = 'assert np.array_equal(code_img, drawn) and ax.get_title() == "the secret title"'
    draw = 'plt.savefig("again.png", bbox_inches="tight")\n        drawn = np.array(Image.open("again.png"))'
    context = contexts.PLOT.replace('assert ax.get_title() == "the secret title"', f"{draw}\n        {looks}")
    outcome = judge(context, "plt.title('the secret title')\nplt.xscale('log')\nplt.plot([1, 200], [1, 2])")
    assert (outcome.verdict, outcome.strict) == ("passed", "passed"), outcome


FEW_TICKS = contexts.PLOT.replace('ax.get_title() == "the secret title"', "len(ax.get_xticks()) < 5")
SIZE = """import numpy as np
plt.plot([1.5, 2])
plt.rcParams.update({'font.size': %d, 'text.color': np.ones(3)})
"""
OWN_SETTINGS = "from xftbench.execution.inside import settings\nsettings.changed = lambda: {}\n"
SEABORNS = "import seaborn.objects as so\nso.Plot(x=[1, 2], y=[1, 2]).add(so.Dot()).on(plt.gca()).plot()\n"


def test_the_settings_that_a_program_changed_come_with_its_figure(judge: contexts.Judge) -> None:
    assert judge(FEW_TICKS, SIZE % 10).verdict == "failed"
    assert judge(FEW_TICKS, SIZE % 60).verdict == "passed"


@pytest.mark.parametrize(
    "changed",
    [
        {"axes.prop_cycle": "cycler('color', ['r'])"},
        {"text.usetex": True},
        {"figure.hooks": ["os:getcwd"]},
        {"font.size": "x"},
        {"font.size": [[60]]},
        {"font.none": 60},
        {"axes.edgecolor": "(" * 200},
        ["font.size", 60],
    ],
)
def test_settings_that_no_tick_or_text_reads_are_refused(judge: contexts.Judge, changed: object) -> None:
    honest = judge(FEW_TICKS, OWN_SETTINGS.format({"font.size": 60}) + SIZE % 10)
    assert honest.verdict == "passed", honest
    outcome = judge(FEW_TICKS, OWN_SETTINGS.format(changed) + SIZE % 60)
    assert outcome.verdict == "failed"
    assert "setting" in outcome.detail or "can't be set" in outcome.detail


def test_a_scale_of_seaborns_comes_without_its_functions(judge: contexts.Judge) -> None:
    context = contexts.PLOT.replace("assert ax", 'assert ax.get_xscale() == "function"\n        assert ax')
    outcome = judge(context, f"{SEABORNS}plt.title('the secret title')")
    assert outcome.verdict == "passed", outcome


NO_LINES = contexts.PLOT.replace('ax.get_title() == "the secret title"', "ax.get_lines() == []")
LIES = [
    (TICKS, THREE_TICKS + FORMATTER.format("lambda x, _: f'[{x:.0f}]'"), "exec_test"),
    (contexts.PLOT, "plt.gca().get_title = lambda *_: 'the secret title'", "calls <lambda>"),
    (NO_LINES, "plt.plot([1, 2])\nplt.gca().get_lines = list", "calls list"),
]


@pytest.mark.parametrize(("context", "solution", "detail"), LIES)
def test_a_function_that_a_test_calls_is_not_there(
    judge: contexts.Judge, context: str, solution: str, detail: str
) -> None:
    outcome = judge(context, solution)
    assert outcome.verdict == "failed", outcome
    assert detail in outcome.detail


OWN_PICKLE = """
import io, pickle
from xftbench.execution.inside import figures
import matplotlib.pyplot as plt
class Pickler(figures._Pickler):
    def reducer_override(self, value):
        found = super().reducer_override(value)
        return {changes}
figures._Pickler = Pickler
plt.title("the secret title")
plt.xscale("log")
"""
FORGED = [
    "found[:2] + (found[2] | {'_child': 'x'},) if type(value).__name__ == 'TransformWrapper' else found",
    "found[:2] + (found[2] | {'_child': value},) if type(value).__name__ == 'TransformWrapper' else found",
    "(figures.made_class, ('norm', 'function')) if value is plt.gca() else found",
    "(figures.made_class, ('mixed', 'matplotlib.text', 'Text', plt.Axes)) if value is plt.gca() else found",
    "(figures.made_class, ('norm', 'symlog'), {'__call__': 1}) if value is plt.gca() else found",
]


@pytest.mark.parametrize("changes", FORGED)
def test_a_pickle_of_a_figure_that_the_pickler_would_not_make_is_refused(
    judge: contexts.Judge, changes: str
) -> None:
    honest = judge(contexts.PLOT, OWN_PICKLE.format(changes="found"))
    assert honest.verdict == "passed", honest
    outcome = judge(contexts.PLOT, OWN_PICKLE.format(changes=changes))
    assert outcome.verdict in ("failed", "violation"), outcome


OWN_EXTRA = """
import collections, copyreg, io, itertools, pickle
import matplotlib as mpl
import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from xftbench.execution.inside import figures
class Extra:
    pass
extra = Extra()
def new(kind, state, *parts):
    global extra
    extra = {dict: dict, tuple: tuple}.get(kind.__base__, object).__new__(kind)
    return copyreg.__newobj__, (kind, *parts), state
class Pickler(figures._Pickler):
    def reducer_override(self, value):
        if value is extra:
            return reduced
        if value is int or type(value).__module__.startswith(("numpy", "pandas.core")):
            return NotImplemented
        return super().reducer_override(value)
figures._Pickler = Pickler
plt.title("the secret title")
reduced = {extra}
plt.gca().extra = extra
"""
OBJECTS = "np.array([{}, None], dtype=object).__reduce_ex__(5)"
EXTRAS = [
    "new(mpl.cbook._StrongRef, {'_obj': 1})",
    "new(mpl.RcParams, {'a': 1})",
    "new(mpl.texmanager.TexManager, {'a': 1})",
    "new(mpl.backend_bases.TimerBase, {'callbacks': []})",
    "new(mpl.text.Text, {'_text': pd.array([0])})",
    "new(mpl.text.Text, {'_text': pd.Series([0])})",
    "pd.Index([0]).__reduce_ex__(5)",
    "np.matrix([0]).__reduce_ex__(5)",
    "np.zeros(2, dtype=[('a', int)]).__reduce_ex__(5)",
    "np.void(b'ab').__reduce_ex__(5)",
    "np.ma.masked.__reduce__()",
    OBJECTS.format("pd.array([0])"),
    OBJECTS.format("[0]"),
    OBJECTS.format("plt.gca()"),
    "np.ma.array([[0], None], dtype=object).__reduce__()",
    "(list, ([list],))",
    "new(mpl.text.Text, {'a': [plt.Axes]})",
    "new(mpl.text.Text, {'a': {plt.Axes: 1}})",
    "new(mpl.text.Text, {'a': {1: (0, (plt.Axes,))}})",
    "new(mpl.text.Text, {'a': plt.Axes})",
    "new(mpl.text.Text, {'a': {np.ndarray}})",
    "new(mpl.container.Container, {}, [plt.Axes])",
    "new(mpl.lines.Line2D, (None, {'color': 'red'}))",
    "new(mpl.cbook.CallbackRegistry, CALLBACKS | {'callbacks': {'a': {1: plt.gca()}}})",
    "new(mpl.cbook.CallbackRegistry, CALLBACKS | {'_pickled_cids': {1}})",
    "new(mpl.cbook.CallbackRegistry, CALLBACKS | {'_cid_gen': 1.5})",
    "new(mpl.cbook.Grouper, {'_mapping': {mpl.font_manager.FontProperties(): set()}})",
    "new(mpl.spines.Spines, {'get_text': 1})",
    "new(mpl.figure._AxesStack, {'_axes': {}, '_counter': 1.5})",
    "new(mpl.ticker.StrMethodFormatter, {'fmt': '{x.__class__}'})",
    "new(mpl.ticker.StrMethodFormatter, {'fmt': '{x:{pos[0]}}'})",
    "new(mpl.dates.rrulewrapper, {'_rrule': plt.gca().title, '_tzinfo': None})",
    "new(mpl.transforms.Affine2D, {'_parents': {1: plt.gca().title}})",
    "new(mpl.axes.Axes, {'_shared_axes': {'x': [plt.gca().title._fontproperties]}, '_twinned_axes': None})",
    "(itertools.count, (1.5,))",
    "(figures.absent, (plt.gca().title,))",
    "(collections.defaultdict, (int,))",
]
CALLBACKS = (
    "{'callbacks': {}, '_pickled_cids': set(), '_cid_gen': 1, '_signals': None, 'exception_handler': None}"
)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_no_figure_holds_is_refused(judge: contexts.Judge, extra: str) -> None:
    outcome = judge(contexts.PLOT, OWN_EXTRA.replace("{extra}", extra.replace("CALLBACKS", CALLBACKS)))
    assert outcome.verdict in ("failed", "violation"), outcome
    assert "plain data" in outcome.detail or outcome.verdict == "violation", outcome


def test_what_figures_hold_is_not_refused(judge: contexts.Judge) -> None:
    held = [
        "(complex, (1, 2))",
        f"new(mpl.cbook.CallbackRegistry, {CALLBACKS})",
        "new(mpl.ticker.StrMethodFormatter, {'fmt': '{x:>9.2f} {{m}} {pos}'})",
        "new(mpl.text.Text, {'a': [np.array(['x', None], dtype=object), np.ma.array([1, 2], mask=[0, 1])]})",
        "new(mpl.text.Text, {'a': [pd.Period('2020', freq='M'), pd.Timestamp('2020'), pd.NaT]})",
    ]
    for extra in held:
        outcome = judge(contexts.PLOT, OWN_EXTRA.replace("{extra}", extra))
        assert outcome.verdict == "passed", (extra, outcome)


def test_a_figure_that_stays_behind_says_so_in_short(judge: contexts.Judge) -> None:
    stays = "inside._figures = lambda: [json.dumps({'kind': 'stays', 'text': 'x' * 3_000_000}).encode()]"
    solution = f"import json, sys\ninside = sys.modules['xftbench.execution.inside.snippet']\n{stays}\n"
    outcome = judge(contexts.PLOT, solution + contexts.OTHER_PICTURE)
    assert outcome.verdict == "failed", outcome
    assert outcome.wall_s < contexts.LIMITS.wall_s / 2
