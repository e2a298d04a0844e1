"""The commands of accounts: `seed_users`.

A command parses, checks and prints; what it does lies in a module of the app.
"""
