"""The rooms of the admin console, one file each: what it looks at, and what may be done there."""
