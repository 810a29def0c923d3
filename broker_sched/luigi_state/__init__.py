"""The state that a stock luigid writes when it ends, for `bsched import-luigi`.

| module | what it knows |
| --- | --- |
| unpickle | a program of its own, which reads the pickle and can make nothing but luigi's own objects |
| reading | runs that program, and what it has found |
| converting | what of luigi's attributes becomes what in a line of an import, and what is left out |
"""
