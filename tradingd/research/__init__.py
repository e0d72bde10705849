"""The same actors drained in virtual time over a tape."""
