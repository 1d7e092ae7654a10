"""uvicorn's connections, with the limits that they lack."""
