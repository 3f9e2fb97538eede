"""How the embedded models were made. Needs the network once, for the pictures; see README.md."""
