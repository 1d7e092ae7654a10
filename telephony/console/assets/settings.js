/** Finds settings on their page. */

const tools = document.getElementById("settings-tools");
const find = document.getElementById("find");
const changed = document.getElementById("changed");

function show() {
  const words = find.value.trim().toLowerCase();
  for (const group of document.querySelectorAll(".settings-group")) {
    let any = false;
    for (const row of group.querySelectorAll("tbody tr")) {
      row.hidden = (changed.checked && !row.classList.contains("changed")) || !row.textContent.toLowerCase().includes(words);
      any ||= !row.hidden;
    }
    group.hidden = !any;
  }
}

find.addEventListener("input", show);
changed.addEventListener("change", show);
tools.hidden = false;
show();
