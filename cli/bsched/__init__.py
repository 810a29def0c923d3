"""The `bsched` command."""
