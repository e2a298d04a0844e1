"""Load tests: many users of the API at once, made by locust, on a whole installation of its own.

`make load` runs them and writes a report to `var/load/`; docs/LOAD.md is the report of one run. `__main__.py` is the command,
`scale.py` says how much, `installation.py` starts what is put under load, `locustfile.py` has the users, `swarm.py` sends them,
`watch.py` looks at the queue meanwhile, `scenarios.py` has the acts, `plots.py` and `report.py` show what came of them.
"""
