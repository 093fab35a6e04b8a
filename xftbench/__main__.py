"""``python -m xftbench``, and the entry point of the ``xftbench`` script."""

from xftbench.cli import main

if __name__ == "__main__":
    main()
