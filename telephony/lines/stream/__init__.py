"""Carriers that stream a call's audio over a WebSocket, and buffer what we send until it is played."""
