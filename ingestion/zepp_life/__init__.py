"""Zepp Life (Mi Fit) account exports: the tree of CSV tables, loose or in the AES-encrypted zip that comes by mail."""
