-- What one worker process could not deliver: version 1 of the file, as PRAGMA user_version says.
-- A row goes when the server has taken it. `position` is the order in which things happened.

CREATE TABLE outcome (
    position INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    fencing_token INTEGER NOT NULL,
    claim_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    run_seconds REAL NOT NULL,
    result TEXT NOT NULL, -- JSON
    error TEXT NOT NULL,
    retry_delay_seconds REAL,
    UNIQUE (task_id, fencing_token, claim_id)
);

CREATE TABLE note (
    position INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    fencing_token INTEGER NOT NULL,
    claim_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    UNIQUE (task_id, fencing_token, claim_id, sequence)
);
