"""What must be right on this host before anything starts; each finding says how to mend it."""
