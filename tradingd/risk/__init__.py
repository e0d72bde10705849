"""3. Whether we may: the gate, one small function per rule, and sizing."""
