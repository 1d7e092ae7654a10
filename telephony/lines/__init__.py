"""The lines that calls come by: what they have in common, and a folder for each carrier."""
