"""Verdicts to scores: estimators and intervals, nothing else."""
