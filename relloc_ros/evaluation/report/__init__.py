# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page about a run: numbers, figures, and the queries that went wrong."""

from relloc_ros.evaluation.report.theme import require_report_packages
from relloc_ros.evaluation.report.writing import FIGURES, REPORT, remove_report, write_report

__all__ = ['FIGURES', 'REPORT', 'remove_report', 'require_report_packages', 'write_report']
