"""The HTTP API: who may ask what, commands with their audit trail, the event stream."""
