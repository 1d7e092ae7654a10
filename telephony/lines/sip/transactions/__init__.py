"""Requests and their answers, retransmitted until they arrive (RFC 3261, section 17). Sans-I/O."""
