"""A model that says what a script has it say, on loopback, over the wires that coding clients speak: for tests and demos."""
