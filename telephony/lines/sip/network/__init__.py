"""SIP on the network: sockets, TLS, names of servers."""
