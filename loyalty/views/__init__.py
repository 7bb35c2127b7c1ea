"""Staff pages of `loyalty`: `desk` the actions on a guest's points and stays, `friends` referrals and shares."""
