"""Pure calculation about guests: names, identities, sheets."""
