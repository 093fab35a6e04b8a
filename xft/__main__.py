"""``python -m xft``, and the ``xft`` script."""

from xft.cli import main

if __name__ == "__main__":
    main()
