"""The lines that bring calls: what they have in common, and a folder for each carrier."""
