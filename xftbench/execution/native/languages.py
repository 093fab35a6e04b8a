"""The languages: MultiPL-E's own commands, limits and rules, read from its evaluators, as one table.

Parity: `Step.cpu_s` are the published time limits; go's verdict is that of ``go test``; C#'s and Racket's
stand in stderr, because their runtimes exit with 0 after a failed check; Scala, too, must not write there.
"""

from xftbench.execution.native.compiled import COMPILED
from xftbench.execution.native.interpreted import INTERPRETED
from xftbench.execution.native.language import Language

LANGUAGES: dict[str, Language] = {language.name: language for language in (*COMPILED, *INTERPRETED)}
"""MultiPL-E's abbreviation -> how it is run."""
