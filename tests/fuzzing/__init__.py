"""Random inputs and the judgement of what becomes of them, for tests and `benchmarks/fuzz.py`."""
