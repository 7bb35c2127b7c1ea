"""How tickets are seen to: clocks, routing, the ladder, joining, files, service recovery."""
