"""What the module of role firewall decides, as pure functions."""
