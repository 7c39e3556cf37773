"""Networks: encoders, heads and 1-D region pooling. Imports torch and nothing else of this package."""
