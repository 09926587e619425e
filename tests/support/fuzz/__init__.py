"""Fuzzing of everything that reads files from outside: targets, mutations, and a runner that survives crashes.

`tests/io/test_fuzz.py` runs each target for a moment, `scripts/fuzz` for long.
"""
