"""A namespace as a file of JSON lines, and back.

| module | what it knows |
| --- | --- |
| lines | what stands in a line of the file, and the checks that a file must pass |
| exporting | reads a running namespace, a task at a time, and writes the lines |
| importing | brings the lines into an empty namespace, which nobody else sees before all is there |
| words | a task, a worker and a submission: as Redis keeps them, and as a line has them |
"""
