"""What files declare as data: dependencies, locks, prices, revisions, findings of other tools."""
