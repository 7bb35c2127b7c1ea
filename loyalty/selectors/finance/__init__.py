"""The money behind the points: roll-forward, liability, settlement between properties, return of rules."""
