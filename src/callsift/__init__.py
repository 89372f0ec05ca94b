"""callsift: hears recorded sales calls and says which customers are likely to buy."""

__version__ = "0.1.0"
