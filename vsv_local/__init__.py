"""Run the system on one machine: server, command line, SQLite, local transfer."""
