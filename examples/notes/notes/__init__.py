"""A small notes application: the example that Ferryman deploys in its own tests."""
