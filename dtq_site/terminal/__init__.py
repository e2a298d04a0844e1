"""What the commands for people at the server's terminal share: `enqueue`, `tasks` and `top`.

They stand where GraphQL stands, above the use cases, and call the same ones; they write no rows. `edge.py` says who acts and how
a refusal is told, `conditions.py` which tasks are meant, `following.py` what happens to a task, `dossier.py` what is known of
one, `board.py` how the installation stands.
"""
