"""One adapter class per storage shape."""
