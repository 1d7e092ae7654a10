"""How fast the agent answers and falls silent: measured in each call, added up for the server."""
