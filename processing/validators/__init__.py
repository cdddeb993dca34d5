"""Validation: every reading is accepted, refused with a reason, or recognised as a duplicate; the odd is flagged."""
