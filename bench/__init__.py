"""The performance figures, each beside what it is compared with, in one run."""
