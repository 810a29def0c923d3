"""The commands of `bsched`, one file a group."""
