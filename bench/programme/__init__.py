"""Measurements of the programme: earning, tiers, jobs."""
