"""The site on AWS, on this machine: the project's own handlers behind stand-ins for what only AWS has."""
