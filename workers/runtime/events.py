"""How loud the events of a worker are in its log; those that are not named are plain information."""

LEVELS = {
    "server.unreachable": "warning",
    "worker.died": "error",
    "lease.lost": "warning",
    "handler.raised": "debug",
    "handler.untidy": "warning",
    "handler.hangs": "error",
    "keeper.died": "error",
    "outbox.set_aside": "error",
    "outbox.too_new": "error",
    "outbox.foreign": "warning",
    "outbox.unusable": "error",
    "outbox.full": "error",
    "outbox.left": "warning",
    "journal.full": "error",
    "journal.unusable": "error",
    "creation.refused": "error",
    "record.refused": "warning",
    "token.refused": "error",
    "connection.readable": "warning",
    "health.unwritable": "error",
}
