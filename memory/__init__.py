"""What happened and what was learned: the event log, the records of features and tickets, and the pages for people.

`memory/<project>.md` of the repository that is worked on is written from here, one entry per feature.
"""
