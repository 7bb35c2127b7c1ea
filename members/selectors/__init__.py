"""Reads of guests that span models, one noun a module."""
