-- Version 4 of server.sqlite: ids whose owners are unlisted, also while they are away. This file stays as it is.

CREATE TABLE hidden (
    client_id TEXT PRIMARY KEY,
    allow TEXT NOT NULL                       -- JSON: [key, ...] of those who may know of it
) WITHOUT ROWID;
