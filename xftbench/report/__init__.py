"""Scores to what people read."""
