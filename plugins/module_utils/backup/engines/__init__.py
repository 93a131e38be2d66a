"""What takes and restores: one module an engine, each with the five verbs of decision 14."""
