"""Record why an execution of the import machine ended without a slide."""
