"""Whole pipelines: stock luigi processes against real servers and a real Redis."""
