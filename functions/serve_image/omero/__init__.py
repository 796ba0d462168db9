"""OMERO: webgateway, webclient links and the JSON API."""
