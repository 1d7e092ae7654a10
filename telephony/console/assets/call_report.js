/** Draws a past call from its tape, with the modules of `voxline report`. Until then, and without them, the call's own
 * transcript stands there. */

import { showCall } from "./main.js";

const report = document.getElementById("report");
const note = document.getElementById("report-note");

async function draw() {
  note.textContent = "The tape is being read…";
  const answer = await fetch(report.dataset.report, { headers: { Accept: "application/json" } });
  const drawn = await answer.json();
  if (!answer.ok) throw new Error(drawn.error);
  report.hidden = false;
  const { goTo } = showCall(drawn.data, drawn.audio);
  for (const id of ["transcript-record", "line"]) document.getElementById(id).hidden = true; // the same, drawn
  note.textContent = "";
  const follow = () => {
    const turn = /^#turn-(\d+)$/.exec(location.hash);
    if (location.hash === "#failed") showFailures();
    if (turn || location.hash === "#line") report.scrollIntoView({ block: "start" });
    if (turn) goTo(Number(turn[1]));
  };
  addEventListener("hashchange", follow);
  follow();
}

/** The table of events, with nothing but the replies that failed. */
function showFailures() {
  const filter = document.getElementById("filter");
  filter.value = "replyfailed";
  filter.dispatchEvent(new Event("input"));
  filter.scrollIntoView({ block: "start" });
}

draw().catch((error) => {
  note.textContent = `The tape cannot be drawn: ${error.message}`;
});
