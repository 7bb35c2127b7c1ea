"""Campaigns: what marketing offers to whom and when."""
