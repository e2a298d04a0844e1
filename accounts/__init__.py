"""Who asks: users, teams, roles, tokens and permissions.

May import the floor (`dtq_site.foundation`) and nothing else of ours. Start at `models.py` for the rows, at
`registration.py` for the only code that writes them, and at `authentication.py` for how a token becomes an `Identity`.
"""
