"""All SQL, all Redis, the picture files and the embedded stores."""
