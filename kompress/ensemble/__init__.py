"""What an ensemble is worth: diversity, gains, the paradox, suggestions."""
