"""From a round's votes to its labels and verdicts. Pure: no session, no queue."""
