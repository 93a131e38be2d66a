"""What a host wrote down: read from journald and files, brought to one form, filtered where it lies."""
