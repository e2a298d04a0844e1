"""The roof's commands: `dev` (everything on one screen), `runserver` and `configuration`.

A command parses, checks and prints; what it does lies in a module beside it.
"""
