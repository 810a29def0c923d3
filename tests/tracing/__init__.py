"""Traces with the real SDK of OpenTelemetry."""
