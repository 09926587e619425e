"""Run studies, which compare methods on splits with several seeds: one file in, tables and a report out."""

from compactnas.studies.config import StudyConfig, read_study
from compactnas.studies.jobs import StudyJob, expand
from compactnas.studies.parallel import jobs_at_once, run_study_in_processes
from compactnas.studies.planning import StudyPlan, plan
from compactnas.studies.running import run_study
from compactnas.studies.tables import Table, study_tables

__all__ = [
    "StudyConfig",
    "StudyJob",
    "StudyPlan",
    "Table",
    "expand",
    "jobs_at_once",
    "plan",
    "read_study",
    "run_study",
    "run_study_in_processes",
    "study_tables",
]
