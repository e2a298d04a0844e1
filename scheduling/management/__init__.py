"""The commands of scheduling: `runscheduler`.

A command parses, checks and composes; what runs lies in `scheduling/runtime/`.
"""
