"""What an operator does: the command line, configuration, start-up. Imports the other folders."""
