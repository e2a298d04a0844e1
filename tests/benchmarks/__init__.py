"""The benchmarks: DTQ beside Celery, Dramatiq and Huey on one MariaDB and one Redis. `make bench` runs them.

`systems/` says how each queue is started, `applications/` is the code that runs inside of it, in an environment of its own,
and `measures/` is what is measured, one file each. Start with `stage.py`, where servers and systems come together. The
applications, `producer.py`, `counting.py` and `counter.py` run in the peers' environment too, which has none of ours.
"""
