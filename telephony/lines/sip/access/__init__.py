"""Access to the SIP port, and the right to call."""
