"""What a load is made of: from the records table to rows, in one transaction."""
