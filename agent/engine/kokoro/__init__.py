"""Kokoro: the synthesizer on the GPU."""
