"""How a program binds a name."""

import pytest

from xftbench.prompts.python_code import Binding, binding


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        ("from a import f", "f", Binding.NAMED),
        ("from a import g as f", "f", Binding.NAMED),
        ("import f", "f", Binding.NAMED),
        ("f = g(f)", "f", Binding.NAMED),
        ("f: object = lambda: 1", "f", Binding.LIKELY),
        ("f: object", "f", Binding.NONE),
        ("g, f = 1, 2", "f", Binding.LIKELY),
        ("def f(): raise NotImplementedError('f')", "f", Binding.NAMED),
        ("def f(): return None", "f", Binding.NAMED),
        ("def f(a): a.sort()", "f", Binding.LIKELY),
        ("def f(): yield", "f", Binding.DEFINED),
        ("class f: pass", "f", Binding.DEFINED),
        ("class A:\n    def f(self): return 1", "f", Binding.NONE),
        ("try:\n    x = 1\nexcept E:\n    def f(): return 1", "f", Binding.DEFINED),
        ("def g():\n    def f(): return 1", "f", Binding.NONE),
        ("def f(): return 1\nreturn", "f", Binding.NONE),
        ("x = 1", "", Binding.DEFINED),
        ("# nothing", "", Binding.NONE),
    ],
)
def test_how_a_program_binds_a_name(code: str, name: str, expected: Binding) -> None:
    assert binding(code, name) is expected
