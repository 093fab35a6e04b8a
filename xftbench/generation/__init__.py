"""Prompts to completions: one protocol, and an engine behind each backend."""
