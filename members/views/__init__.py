"""Staff pages of `members`: the desk, the guest card and what is done there."""
