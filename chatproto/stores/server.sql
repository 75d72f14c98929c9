-- Version 1 of server.sqlite. A change is another step in sqlite.py; this file stays as it is.

CREATE TABLE names (
    client_id TEXT PRIMARY KEY,
    fold TEXT NOT NULL,                       -- what it has in common with those that look like it
    key TEXT NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX names_of_fold ON names (fold);
CREATE INDEX names_of_key ON names (key);
CREATE INDEX names_by_use ON names (used);

CREATE TABLE leases (
    number INTEGER PRIMARY KEY,               -- rises in the order in which they registered
    client_id TEXT NOT NULL UNIQUE,
    ip TEXT NOT NULL,                         -- what it claims
    port INTEGER NOT NULL,
    host TEXT NOT NULL,                       -- where it was seen
    host_port INTEGER NOT NULL,
    local INTEGER NOT NULL,                   -- on the server's own machine
    key TEXT,
    heard REAL NOT NULL
);

CREATE TABLE presences (
    client_id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    port INTEGER NOT NULL,
    addresses TEXT NOT NULL,                  -- JSON: [[host, port], ...]
    expires INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    allow TEXT NOT NULL,                      -- JSON: [key, ...]
    host TEXT NOT NULL,                       -- where it was seen
    host_port INTEGER NOT NULL,
    local INTEGER NOT NULL,
    until REAL                                -- NULL: connected, as far as the file knows
) WITHOUT ROWID;

CREATE INDEX presences_by_end ON presences (until);

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
