"""What spending costs: one module for each of its nouns."""
