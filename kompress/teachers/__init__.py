"""Language models as voters: what is asked, and how an answer becomes a vote."""
