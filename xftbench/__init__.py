"""Evaluate code-model checkpoints on real benchmarks, and say which is better."""

__version__ = "0.1.0"
