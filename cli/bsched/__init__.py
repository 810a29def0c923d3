"""The program `bsched`, the command line of broker_sched."""
