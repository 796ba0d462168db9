"""Serve OMERO's clients: webgateway, webclient links and the JSON API."""
