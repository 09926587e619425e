"""A study: methods by splits by seeds from one file, in folders that are computed once, with tables at the end."""

from compactnas.study.config import StudyConfig, read_study
from compactnas.study.jobs import Job, expand
from compactnas.study.planning import Plan, plan
from compactnas.study.running import run_study
from compactnas.study.tables import Table, study_tables

__all__ = ["Job", "Plan", "StudyConfig", "Table", "expand", "plan", "read_study", "run_study", "study_tables"]
