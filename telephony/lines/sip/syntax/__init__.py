"""SIP and SDP as text: messages, headers, addresses, descriptions. Sans-I/O."""
