"""Everything the project promises, attacked: processes that are killed, faults of the machine, made input, and who could do harm."""
