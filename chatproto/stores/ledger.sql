-- Version 1 of ledger.sqlite. A change is another step in sqlite_ledger.py; this file stays as it is.

CREATE TABLE peers (
    key TEXT PRIMARY KEY,
    stream TEXT NOT NULL,                     -- ours
    last INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0,
    their_stream TEXT NOT NULL DEFAULT '',
    have INTEGER NOT NULL DEFAULT 0,
    turn TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE outbox (
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    text TEXT,                                -- NULL: in memory only, and lost with it
    withdrawn INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    line INTEGER NOT NULL,                    -- its number in the log; 0: it has none
    PRIMARY KEY (key, id)
) WITHOUT ROWID;

CREATE TABLE log (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    id INTEGER NOT NULL,
    at REAL NOT NULL,
    text TEXT NOT NULL,
    state TEXT NOT NULL
);

CREATE INDEX log_of_key ON log (key, number);

CREATE VIRTUAL TABLE words USING fts5 (
    text, content='log', content_rowid='number', columnsize=0, tokenize='unicode61 remove_diacritics 2'
);

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO meta VALUES ('shown', 0);   -- the highest number in the log that has reached the screen
INSERT INTO meta VALUES ('indexed', 0); -- the highest that is in `words`
