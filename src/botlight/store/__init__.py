"""The memory: adapters of the ports in botlight.service."""
