"""The agent's side: what is said, how it is made, what interrupts it."""
