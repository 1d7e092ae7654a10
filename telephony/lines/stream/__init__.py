"""Carriers that stream a call's audio over a WebSocket and hold what we send until it is played."""
