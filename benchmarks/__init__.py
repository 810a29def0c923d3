"""How fast it is, side by side with a stock luigid: `python -m benchmarks`, results in docs/benchmarks.md."""
