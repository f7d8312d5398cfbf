"""Faults from one seed against the real processes, and a separate checker that compares what was told with what is."""
