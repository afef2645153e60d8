"""HTTP: routes, schemas, the error table, keys and roles."""
