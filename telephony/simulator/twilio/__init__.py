"""Simulated calls as Twilio makes them."""
