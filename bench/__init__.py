"""Benchmarks: each piece of work beside its peer, in one run on one machine. `python -m bench --help`."""
