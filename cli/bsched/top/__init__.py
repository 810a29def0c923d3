"""`bsched top`: a namespace on a full screen, live. Nothing else imports it: it needs textual, of the extra `top`.

| module | what it knows |
| --- | --- |
| app | the screen: summary, banner, tabs, keys; when what is asked for |
| calls | how the scheduler is called beside the loop that draws |
| base_tab | a table that is told rows, and what a tab must say of itself |
| families | the tab of families |
| tasks | the tab of tasks, and how a filter is read |
| workers | the tab of workers |
| resources | the tab of resources |
| failures | the tab of failures |
| events | the tab of events |
| dialogs | what stands above the tabs: a text, a question |
| summary | the lines at the top |
| texts | a task, its reason and its log as text |
"""
