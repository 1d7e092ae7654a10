"""The caller's side: what is heard, whether somebody speaks, when their turn is over."""
