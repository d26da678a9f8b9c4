"""The live answer: what an agent is about to do, read from its words, and whether every gate permits it."""
