"""Webhooks: what other programs are asked before a call, and told after it. Nothing here runs in the audio's loop."""
