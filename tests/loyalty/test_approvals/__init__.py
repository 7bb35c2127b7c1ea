"""Four eyes: what waits for an approval, who may give it, and that nothing moves before."""
