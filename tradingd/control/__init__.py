"""The surface: HTTP, read models, logs, metrics."""
