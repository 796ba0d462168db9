"""A file that ends the process each time it is worked on must not keep the others out for ever."""





