"""Exports: a student as the files that others load. Importing this imports no torch."""
