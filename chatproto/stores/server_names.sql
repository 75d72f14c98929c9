-- Version 3 of server.sqlite: from where an id came, and whether it was only registered. This file stays as it is.

ALTER TABLE names ADD COLUMN host TEXT NOT NULL DEFAULT '';      -- the address, an IPv6 one by its /64
ALTER TABLE names ADD COLUMN trial INTEGER NOT NULL DEFAULT 0;   -- nothing but registered until now

CREATE INDEX names_by_host ON names (host);
CREATE INDEX names_by_trial ON names (trial, used);
