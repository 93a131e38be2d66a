"""What the modules of role host decide, as pure functions, and the few acts that two of them share."""
