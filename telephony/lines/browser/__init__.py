"""Phones in web pages: audio at 16 kHz over one WebSocket, with every sample that was heard acknowledged."""
