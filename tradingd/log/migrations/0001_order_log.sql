-- The order log: one row per fact or decision, chained by hash, never changed and never deleted.
CREATE TABLE order_log (
    seq    INTEGER PRIMARY KEY,   -- place in the one order of events; market data leaves holes
    at     INTEGER NOT NULL,      -- ns UTC of market time
    source TEXT NOT NULL,         -- the station that said it
    type   TEXT NOT NULL,         -- the message's tag
    body   BLOB NOT NULL,         -- the message as msgpack
    chain  BLOB NOT NULL          -- SHA-256 over the chain of the row before and this row
) STRICT;

CREATE INDEX order_log_by_type ON order_log (type, seq);

-- What every core had saved after all rows up to `seq`; the newest two are kept.
CREATE TABLE checkpoints (
    seq    INTEGER PRIMARY KEY,
    states BLOB NOT NULL
) STRICT;

-- Small values of the store itself: the genesis, born with it.
CREATE TABLE store_values (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
