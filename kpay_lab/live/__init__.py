"""Inside a live session: its minutes, how long people stay, what an offer does, fair hosts."""
