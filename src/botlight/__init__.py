"""Botlight shows a person, live, what their bot is doing, and lets them stop it for real."""
