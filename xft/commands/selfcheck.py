"""``xft selfcheck``."""

from pathlib import Path

import click

from xft.commands.options import DIRECTORY
from xft.errors import ParityError
from xft.selfcheck import check_folder, fix_summation_order


@click.command("selfcheck")
@click.option("--golden", type=DIRECTORY, required=True, help="Folder of gate-* and merge-*.safetensors.")
def command(golden: Path) -> None:
    """Compare this installation with reference tensors.

    Prints one line per file; exits with 6 if a file differs. Tolerances: ids equal, weights and balance
    loss 1e-6, layer output 1e-5, importance and load 1e-5 of the largest; for single elements that rounding
    alone takes further than that, twice as far as it does.
    """
    fix_summation_order()
    n_files = n_wrong = 0
    for path, differences in check_folder(golden):
        wrong = [difference for difference in differences if not difference.is_within]
        worst = max(differences, key=lambda difference: difference.found / (difference.allowed or 1))
        text = "; ".join(f"{d.what} differ by {d.found:.2e}, allowed {d.allowed:.0e}" for d in wrong)
        ok = f"{len(differences)} comparisons, closest to its limit: {worst.what} {worst.found:.1e}"
        click.echo(f"{'DIFFERS' if wrong else 'ok':8}{path.name}  {text or ok}")
        n_files += 1
        n_wrong += bool(wrong)
    if n_wrong:
        raise ParityError(f"{n_wrong} of {n_files} reference files differ")
