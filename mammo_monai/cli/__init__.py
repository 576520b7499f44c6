"""The `mammo-monai` command: one file per verb, which parses, calls and prints."""
