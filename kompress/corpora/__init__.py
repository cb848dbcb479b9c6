"""Documents: reading them, generating them, grouping and splitting them."""
