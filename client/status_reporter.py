"""Placeholder until the reporter lands."""
