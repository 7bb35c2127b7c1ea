"""Writes of the organisation, one noun a module."""
