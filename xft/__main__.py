"""``python -m xft``, and the entry point of the ``xft`` script."""

from xft import interrupt


def main() -> None:
    """Run the command line and end the process."""
    interrupt.run(_command)


def _command() -> int:
    from xft.cli import run  # not at the top: Ctrl-C may come while this is imported

    return run()


if __name__ == "__main__":
    main()
