-- Closed days rest in read-only files of their own, segments/orders-YYYYMMDD.sqlite. This is their register:
-- the live file holds the rows after the last of them, and a row of a registered day counts there only.
CREATE TABLE segments (
    day          TEXT PRIMARY KEY,   -- the trading day, YYYYMMDD in New York
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    row_count    INTEGER NOT NULL,
    counts       BLOB NOT NULL,      -- rows by type, msgpack: a file without a type need not be opened for it
    chain_before BLOB NOT NULL,      -- the chain of the row before the first
    chain        BLOB NOT NULL,      -- the chain of the last row; the next day goes on from it
    digest       BLOB NOT NULL       -- SHA-256 of the whole file
) STRICT;

-- A checkpoint now names the row it was made after and carries its own digest. Older ones have neither:
-- the next start reads the whole log once.
DROP TABLE checkpoints;
CREATE TABLE checkpoints (
    seq    INTEGER PRIMARY KEY,
    states BLOB NOT NULL,
    chain  BLOB NOT NULL,            -- the chain of the last row up to seq
    digest BLOB NOT NULL             -- SHA-256 over seq, states and chain
) STRICT;
