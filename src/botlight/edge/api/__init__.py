"""The operations of the HTTP interface, one module a noun."""
