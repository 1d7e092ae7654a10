"""The caller's side: what is heard, whether the caller is speaking, when their turn is over."""
