/** Small helpers. Texts of the tape become text nodes only, never markup. Times are ms of media time. */

export function clock(ms) {
  const whole = Math.max(0, Math.round(ms));
  const minutes = Math.floor(whole / 60000);
  const seconds = String(Math.floor(whole / 1000) % 60).padStart(2, "0");
  return `${minutes}:${seconds}.${String(whole % 1000).padStart(3, "0")}`;
}

export function shortClock(ms) {
  return clock(ms).slice(0, -2);
}

export function millis(ms) {
  return ms >= 10000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms)} ms`;
}

/** An element with properties and children (elements, or texts). */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

export function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

/** The index of the first item whose key is not below the value; items are sorted by it. */
export function lowerBound(length, key, value) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Call `change` whenever the page turns light or dark: by the system, or by a switch of the page's own. */
export function onTheme(change) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
  document.addEventListener("themechange", change);
}
