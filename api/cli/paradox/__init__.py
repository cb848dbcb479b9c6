"""`farm paradox`: where an ensemble does worse than its best member."""
