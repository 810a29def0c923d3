"""Planted secrets are searched for in all output."""
