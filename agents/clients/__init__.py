"""What drivers share of the programs that they drive: their streams, their questions, their sign-in."""
