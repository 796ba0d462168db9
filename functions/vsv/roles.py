"""The groups of the user pool: who may look at slides, and who may change them and see labels."""

TECHNICIANS, PATHOLOGISTS, ADMINS = "Technicians", "Pathologists", "Admins"
WRITERS = frozenset({TECHNICIANS, ADMINS})
READERS = WRITERS | {PATHOLOGISTS}
