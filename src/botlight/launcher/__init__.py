"""The hands on the bots' machine; meets the service only over HTTP."""
