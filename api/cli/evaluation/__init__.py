"""`farm eval`: measure a student, and what stands beside it."""
