"""The doors: bytes to model and back."""
