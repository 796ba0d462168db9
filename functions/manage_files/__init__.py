"""The function that runs jobs on slides' files, and looks once a day which of them nobody has to ask for."""
