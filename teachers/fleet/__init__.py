"""The endpoints of one teacher: who is asked, how much at once, how fast, and what happens when they fail."""
