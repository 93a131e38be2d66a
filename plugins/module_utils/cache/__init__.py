"""A cache: Valkey or Redis as Debian has it, and what it holds."""
