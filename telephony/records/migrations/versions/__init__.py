"""One file a step. A released step is never changed: what is wrong with it is another step."""
