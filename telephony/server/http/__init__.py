"""uvicorn's connections with the bounds they lack."""
