"""A planted set for contamination: benchmark items from real material, copies that were changed, and look-alikes."""
