"""Backups: what is taken, what is kept and why, whether it is what it was; decisions first, engines behind one seam."""
