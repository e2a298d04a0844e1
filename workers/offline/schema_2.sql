-- Version 2 of the file adds what a remote worker holds: the tasks that it claimed, and those that it wants created.

CREATE TABLE claimed (
    position INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    fencing_token INTEGER NOT NULL,
    claim_id TEXT NOT NULL,
    task TEXT NOT NULL, -- JSON: what else its handler needs
    begun INTEGER NOT NULL, -- 1: its handler may have done anything; 2: it is being given back; else 0
    lease_seconds REAL NOT NULL, -- from the moment at which the three clocks read as follows
    sent_monotonic REAL NOT NULL,
    sent_boot REAL NOT NULL,
    sent_wall REAL NOT NULL,
    UNIQUE (task_id, fencing_token, claim_id)
);

CREATE TABLE creation (
    position INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL, -- JSON
    asked_at TEXT NOT NULL, -- by this host's clock: a delay counts from there
    parent TEXT -- the lease of the task that asks for it, as JSON; null if a script does
);
