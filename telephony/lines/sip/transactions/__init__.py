"""Requests and their answers, sent again until they arrive (RFC 3261, section 17). Sans-I/O."""
