"""One command a file; its docstring says how it is called."""
