"""More than one host: who they are, how they are, and what they cost."""
