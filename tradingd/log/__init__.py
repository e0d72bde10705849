"""What is written down: the order log and the market tape, and what reads them back.

journal, sqlite_store, order_log, log_file, segments, chain   the order log: written in groups, hash-chained
versions                                                      rows that an earlier version wrote
tape, memory_tape                                             the market tape: what the filter let through
recovery                                                      a start: checkpoint, then every journaled fact
replay, verify, backup                                        audits and copies
"""
