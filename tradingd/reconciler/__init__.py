"""Whether it is so: the local books against the broker's snapshot."""
