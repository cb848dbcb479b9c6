"""The published line of students as files, one a version, and how they are read."""
