"""Students: the models that the farm trains. Importing this imports no torch."""

from kompress.students.student import Compressed, Student, load

__all__ = ["Compressed", "Student", "load"]
