"""What the documentation says is tried: its pages are current, and its commands work as they stand there."""
