"""What a corpus shows to others: card, Croissant, `datasets` views, exports, pushes."""
