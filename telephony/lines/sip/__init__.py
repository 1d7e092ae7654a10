"""The SIP line."""
