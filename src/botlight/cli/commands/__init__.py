"""The commands, one module for each word; `main` gives them their names."""
