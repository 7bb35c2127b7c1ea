"""Reads of feedback: tickets, their clocks, the roster."""
