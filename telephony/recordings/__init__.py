"""Recordings of calls as stereo files: what the caller said on the left, what they heard of the agent on the right."""
