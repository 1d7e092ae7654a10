"""Simulated calls over SIP and RTP."""
