"""Engines: what runs a student's arithmetic. Importing this imports none of them."""
