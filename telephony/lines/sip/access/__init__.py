"""Who may talk to the SIP port, and who may call."""
