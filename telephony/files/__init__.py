"""Files about calls: how they are named, written off the audio's path, and kept within a limit."""
