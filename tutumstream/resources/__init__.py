"""The REST API of the platform, asked for what the events are about."""
