"""Writes the Grafana dashboards, so that panels of a kind look alike.

In docker/grafana: `python -m generator dashboards`. Expressions take the maximum over API processes of what is read from rows,
because each of them tells the same.
"""
