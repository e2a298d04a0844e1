"""The commands of workers: `runworker`.

A command parses, checks and composes; what runs lies in `workers/runtime/`.
"""
