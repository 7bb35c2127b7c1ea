"""The demo: all processes of the system on one machine, and the hotel group to try it with."""
