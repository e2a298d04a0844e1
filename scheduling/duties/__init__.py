"""The jobs of the scheduler, one file each. A new one is a file here and a line in `runtime/scheduler.py`.

Each may meet another scheduler that does the same at the same time: guarded verbs and unique keys decide.
"""
