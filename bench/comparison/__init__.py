"""What other reporters cost a bot when their backend is gone, in one run with ours: `python -m bench.comparison`."""
