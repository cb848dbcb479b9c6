"""The published line of students and our own as files, and how they are read."""
