"""Pure rules of feedback: working time, the clocks of a ticket, routing, the ladder of escalation."""
