"""What to tell someone who misspelt a name."""

import difflib


def suggestion(word: str, known: list[str]) -> str:
    """Return 'did you mean ...?' where something is near, and in any case what there is."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    listed = "known: " + ", ".join(known)
    return f"did you mean {' or '.join(near)}? {listed}" if near else listed
