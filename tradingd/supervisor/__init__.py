"""Over all: who may stop it. Levels, heartbeats, the daily loss limit, the halt."""
