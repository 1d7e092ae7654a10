"""Calls as a web page makes them, without a browser."""
