"""The site on AWS, on this machine: the project's own handlers behind fakes of the services that only AWS has."""
