"""Students: the models that the farm trains. Importing this imports torch."""

from kompress.students.dual_head import STUDENTS
from kompress.students.student import Compressed, Student, load

__all__ = ["STUDENTS", "Compressed", "Student", "load"]
