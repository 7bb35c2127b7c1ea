"""Reads of the programme that span models; each takes a fixed number of queries."""
