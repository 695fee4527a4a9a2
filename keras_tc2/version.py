"""The version of the library, as published encoders record it."""

__version__ = "0.2.0"
