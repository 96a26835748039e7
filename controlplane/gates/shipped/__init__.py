"""The gates that come with the program, as data: `watchfloor gates shipped`."""
