-- Version 2 of server.sqlite: rooms. This file stays as it is.

CREATE TABLE rooms (
    name TEXT PRIMARY KEY,
    kept TEXT NOT NULL                        -- JSON: the fields of rooms.history.Kept but the name
) WITHOUT ROWID;

CREATE TABLE room_numbers (
    room TEXT PRIMARY KEY,
    since INTEGER NOT NULL,                   -- every number from here ...
    last INTEGER NOT NULL                     -- ... to here is in `lines`
) WITHOUT ROWID;

CREATE TABLE lines (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    sender TEXT NOT NULL,
    at REAL NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;
