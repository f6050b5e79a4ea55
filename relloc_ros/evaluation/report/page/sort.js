// Tables whose headings are buttons are sorted by them.
for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const key = (row) => {
      const cell = row.cells[column];
      if (!heading.classList.contains('number')) return cell.textContent.trim();
      if (cell.dataset.key === undefined) return null;
      return cell.dataset.key === 'inf' ? Infinity : Number(cell.dataset.key);
    };
    heading.querySelector('button').addEventListener('click', () => {
      const down = heading.getAttribute('aria-sort') === 'ascending';
      headings.forEach((other) => other.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const compare = (a, b) => {
        if (a === b) return 0;
        if (a === null || a === '') return 1;
        if (b === null || b === '') return -1;
        const sign = typeof a === 'number' ? Math.sign(a - b)
          : a.localeCompare(b, undefined, { numeric: true });
        return down ? -sign : sign;
      };
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort((a, b) => compare(a[0], b[0]));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
