"""Says before a run what a run would trip over, and what to do about it."""
