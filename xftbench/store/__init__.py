"""Results on disk: append-only while a run lasts, complete once `scores.json` exists."""
