"""Text: normalisation, roles, tokens."""
