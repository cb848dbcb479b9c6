"""From judgments between two references to a quality of each."""
