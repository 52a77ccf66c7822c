"""Programs that call the functions of a student, in a process of their own."""
