"""Mi Fitness: the Xiaomi account export, from a Drive folder or the inbox."""
