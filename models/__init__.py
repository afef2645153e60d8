"""The four networks: torch in, torch out; they know no user, no database and no clock."""
