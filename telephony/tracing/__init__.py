"""Traces of calls for OpenTelemetry: a span for each call, in it one for each turn, in that its parts."""
