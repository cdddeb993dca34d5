"""Who may do what: roles, ownership, privileges, `bronze init`."""
