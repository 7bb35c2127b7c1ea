"""Feedback: tickets, what guests complain of and ask for."""
