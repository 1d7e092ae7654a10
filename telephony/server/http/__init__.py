"""uvicorn's connections, with limits that uvicorn does not set."""
