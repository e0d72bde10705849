-- Which version of the messages each row is written in: the rows after `after_seq` are of `version`, up to where
-- the next begins. Rows are never rewritten, for the chain of hashes covers them; an older one is read through
-- `log/versions.py`. A log begun with this schema has no row of version 1.
CREATE TABLE versions (
    version   INTEGER PRIMARY KEY,
    after_seq INTEGER NOT NULL
) STRICT;

INSERT INTO versions SELECT 2, max(
    coalesce((SELECT max(seq) FROM order_log), -1),
    coalesce((SELECT max(last_seq) FROM segments), -1)
);
