-- Version 3 of the file adds how far attempts are, the claim that has not been answered, and which creations belong together.

CREATE TABLE progress (
    position INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL,
    fencing_token INTEGER NOT NULL,
    claim_id TEXT NOT NULL,
    percent INTEGER NOT NULL,
    UNIQUE (task_id, fencing_token, claim_id)
);

-- One row at most. What the claim has won and nobody has heard of is given back by whoever finds it.
CREATE TABLE asked (
    position INTEGER PRIMARY KEY,
    worker_id TEXT NOT NULL,
    claim_id TEXT NOT NULL
);

ALTER TABLE creation ADD COLUMN call TEXT NOT NULL DEFAULT ''; -- those with the same one are created together or not at all
