"""The agent's side: what is said, how the speech is made, what interrupts it."""
