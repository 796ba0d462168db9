"""Groups of the user pool: which may view slides, and which may change slides and see labels."""

TECHNICIANS, PATHOLOGISTS, ADMINS = "Technicians", "Pathologists", "Admins"
WRITERS = frozenset({TECHNICIANS, ADMINS})
READERS = WRITERS | {PATHOLOGISTS}
