"""What a program imports: flows that touch files, and the names that Azure ML v1 programs know."""
