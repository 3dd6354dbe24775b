"""What everything agrees on: words, records, requests, samples, configuration, errors."""
