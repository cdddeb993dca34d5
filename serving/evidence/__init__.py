"""What made a number, told from the gold tables alone: for the shipped example and for sealed copies."""
