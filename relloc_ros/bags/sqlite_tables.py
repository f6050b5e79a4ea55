# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite files from strangers: a view is read like a table, and may compute for ever."""

from __future__ import annotations

from collections.abc import Sequence
import sqlite3

__all__ = ['not_plain']


def not_plain(connection: sqlite3.Connection, tables: Sequence[str]) -> str:
    """Say which of the tables is a view, virtual, or has columns that are computed.

    Tables that are missing are no matter. Triggers are, whatever their table: they run as soon as
    somebody writes into a copy.

    Args:
        connection: an open database.
        tables: those that will be read.

    Returns:
        What is wrong first; '' if nothing is.

    Raises:
        sqlite3.Error: the database is damaged.
    """
    connection.execute('PRAGMA trusted_schema = OFF')
    wanted = {name.lower() for name in tables}
    for kind, name, text in connection.execute('SELECT type, name, sql FROM sqlite_master'):
        if kind == 'trigger':
            return f'it has a trigger, {str(name)!r:.50}'
        if str(name).lower() not in wanted:
            continue
        if kind != 'table':
            return f'{name} is a {kind} instead of a table'
        if not isinstance(text, str) or 'VIRTUAL' in text.upper().split('(')[0].split():
            return f'{name} is a virtual table'
        columns = connection.execute('SELECT hidden FROM pragma_table_xinfo(?)', (name,))
        if any(hidden for (hidden,) in columns):
            return f'{name} has columns that are computed'
    return ''
