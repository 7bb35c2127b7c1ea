"""Pure calculation of the programme: no database, no clock, no settings."""
