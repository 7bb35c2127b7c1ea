"""Commands of the organisation."""
