"""When things happen without a request: cron firing, promotion, reaping, repair of the index, retention.

May import workers, tasks, accounts and the foundation. `runtime/scheduler.py` runs the duties in `duties/` while it leads;
`schedules.py` is the only writer of schedules; the calendar's rules are pure and live in `domain/`.
"""
