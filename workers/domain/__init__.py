"""The rules of workers as values and pure functions: what a worker says of itself, and when it counts as online.

Imports the standard library and nothing of Django.
"""
