// Follows a running job: asks the server that gave the page, every two seconds.

const SECONDS = 2;

function refresh(image, changed) {
  if (image.dataset.changed === changed) return;
  image.dataset.changed = changed;
  image.src = `contact_sheet.png?${changed}`;
  image.hidden = !changed;
}

async function follow() {
  try {
    const now = await (await fetch("status.json")).json();
    document.getElementById("said").textContent = now.said;
    document.getElementById("done").hidden = !now.done;
    document.getElementById("bar").value = now.percent;
    document.getElementById("curves").innerHTML = now.curves; // ours: escaped where it was made
    refresh(document.getElementById("sheet"), now.sheet);
    if (now.done) return;
  } catch (reason) {
    document.getElementById("said").textContent = `The server does not answer: ${reason.message}`;
  }
  setTimeout(follow, 1000 * SECONDS);
}

follow();
