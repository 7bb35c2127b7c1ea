"""The only writes to guests and stays, one noun a module."""
