"""`backup` and `restore`: all there is in one encrypted file, and back."""
