"""What each gate must refuse and must allow: one module for each gate, run by `orchestrate selftest` and by the tests."""
