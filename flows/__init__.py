"""The five flows and everything that orchestrates them."""
