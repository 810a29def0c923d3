"""Runs tasks on the workers of a Dask cluster: `bsched worker --executor dask --dask-scheduler ADDRESS`.

engine.py is used where tasks are handed out, job_host.py where they run. The Dask scheduler needs nothing of this.
"""
