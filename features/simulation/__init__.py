"""A company whose truth is declared: scenarios, the life of its accounts, and the tables of it."""
