"""Exit codes, the same for every command. `run`, `submit` and `wait` have more, for how tasks ended."""

DONE = 0
NOT_FOUND = REFUSED = 1
WRONG_USAGE = 2
UNREACHABLE = 3  # nobody answered: it may work in a while
INTERRUPTED = 130  # by Ctrl-C: 128 and the number of the signal, as a shell gives it
