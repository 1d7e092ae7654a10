"""Audio over RTP (RFC 3550), for every carrier that uses it: no sockets, no clock, no tasks."""
