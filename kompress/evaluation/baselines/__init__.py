"""What stands beside a student: methods that anybody could use instead of it."""
