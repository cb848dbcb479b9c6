"""Rules that pool votes, one a module."""
