"""The tile function: one module a protocol beside its handler."""
