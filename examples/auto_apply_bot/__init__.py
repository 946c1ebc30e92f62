"""A bot that applies for jobs on the example job board, and tells Botlight what it is doing."""
