"""What repeats itself, and what repeats a benchmark: plain items in, drops out; pure functions, no corpus is read."""
