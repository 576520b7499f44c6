"""What others published, as records and as points for plots: context, never a gate, never a ranking."""
