"""Where exports come from besides the inbox: Drive folders, web addresses, prefixes of object stores; the same for every source."""
