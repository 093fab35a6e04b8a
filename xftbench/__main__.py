"""``python -m xftbench``, and the entry point of the ``xftbench`` script."""

import sys

from xft import interrupt


def main() -> None:
    """Run the command line and end the process."""
    interrupt.run(_command)


def _command() -> int:
    from xftbench.cli import run  # not at the top: Ctrl-C may come while this is imported

    return run(sys.argv[1:])


if __name__ == "__main__":
    main()
