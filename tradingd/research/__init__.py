"""The same stations drained in virtual time over a tape."""
