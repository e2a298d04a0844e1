"""What turns a user's function into a handler: the `task` decorator, the context, the signals, discovery, the port.

Pure: imports the standard library, `dtq_site.foundation` and `tasks.domain`, because remote workers, which have no
Django, import it too. The built-in handlers are in `tasks/handlers.py`. Start at `registry.py`.
"""
