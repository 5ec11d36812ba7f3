"""What a run leaves behind, written and read with the standard library alone: no torch."""

from steepest.records.lines import read
from steepest.records.machine import environment
from steepest.records.reader import Run, is_run, keep, run
from steepest.records.schema import KINDS, VERSION, RecordError, check, number
from steepest.records.studies import Study, is_study, study
from steepest.records.summary import Summary
from steepest.records.writer import Record, cut, position_before

__all__ = [
    "KINDS",
    "VERSION",
    "Record",
    "RecordError",
    "Run",
    "Study",
    "Summary",
    "check",
    "cut",
    "environment",
    "is_run",
    "is_study",
    "keep",
    "number",
    "position_before",
    "read",
    "run",
    "study",
]
