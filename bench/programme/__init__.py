"""Measurements of the programme's work over all members, each with its baseline in the same run."""
