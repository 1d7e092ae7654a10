"""Engines: what hears, thinks and speaks."""
