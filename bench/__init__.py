"""Benchmarks: each prints JSON lines; run them as `python -m bench.line` from the root."""
