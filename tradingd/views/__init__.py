"""The read model: what API, metrics, alerts and the closing summary show, built from the messages of the bus."""
