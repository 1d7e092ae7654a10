/** What every page has: light or dark, times as they are here, questions before what cannot be undone. */

const root = document.documentElement;
const YEAR_S = 365 * 86400;

function startTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `voxline-theme=${root.dataset.theme}; Path=/console; Max-Age=${YEAR_S}; SameSite=Strict${secure}`;
    document.dispatchEvent(new Event("themechange"));
  });
}

/** Times stand in UTC on the page; the reader's own time is told where they are pointed at. */
function tellLocalTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = `${new Date(time.dateTime).toLocaleString()} your time`;
  }
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);

startTheme();
tellLocalTimes();
