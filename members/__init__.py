"""Members: guests, their identities, preferences, reservations and stays."""
