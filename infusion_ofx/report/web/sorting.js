// Sorts a table by the column whose head is clicked or pressed; numbers as numbers, h:mm:ss as
// seconds, dashes last.

function keyOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const clock = /^\d+(:\d\d)+$/.test(text);
  const number = clock
    ? text.split(":").reduce((seconds, part) => 60 * seconds + Number(part), 0)
    : Number.parseFloat(text);
  if (text === "–") return [2, 0, text];
  return Number.isNaN(number) ? [1, 0, text] : [0, number, text];
}

function inOrder(a, b, down) {
  if (a[0] !== b[0]) return a[0] - b[0];
  const apart = a[1] - b[1] || a[2].localeCompare(b[2]);
  return down ? -apart : apart;
}

function sort(table, column, down) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [keyOf(row, column), row]);
  rows.sort((a, b) => inOrder(a[0], b[0], down));
  body.append(...rows.map(([, row]) => row));
}

// The head of the column that the rows are sorted by says so: to the eye and to a screen reader.
function mark(heads, sorted, down) {
  for (const head of heads) head.removeAttribute("aria-sort");
  sorted.setAttribute("aria-sort", down ? "descending" : "ascending");
}

const shots = document.getElementById("shots");
Array.from(shots.tHead.rows[0].cells).forEach((cell, column) => {
  const button = document.createElement("button");
  button.textContent = cell.textContent;
  cell.replaceChildren(button);
  let down = false;
  button.addEventListener("click", () => {
    down = !down;
    sort(shots, column, down);
    mark(shots.tHead.rows[0].cells, cell, down);
  });
});
