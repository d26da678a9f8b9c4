"""Running a test suite and believing it: commands, reports, tests of the harness among the tree's, and what weakens them."""
