"""Who asks, and with which role. What each role may do is the table of contract/roles.py.

| module | what it knows |
| --- | --- |
| access | how a request is told from whom it comes, in which order its proofs count |
| caller | the one who asks, as the rest of the server sees them |
"""
