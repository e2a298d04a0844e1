"""The roof and the floor of the project.

The floor is `foundation/`: clock, ids, errors, options, Redis, services; it knows no app. Everything else here is the
roof: settings, URLs, the GraphQL edge, health and metrics; it may import every app and no app imports it.
Start reading at `settings.py`, then `urls.py`.
"""
