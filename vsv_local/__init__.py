"""The standalone installation: server, command line, SQLite, local transfer."""
