/** Which part of the call the chart shows, in ms. */

import { clamp } from "./format.js";

const CLOSEST = 40; // ms; zooming in ends here

export function createView(duration, onChange) {
  const view = { start: 0, end: duration, duration };

  function show(start, end) {
    const length = clamp(end - start, Math.min(CLOSEST, duration), duration);
    const middle = (start + end) / 2;
    view.start = clamp(length === end - start ? start : middle - length / 2, 0, duration - length);
    view.end = view.start + length;
    onChange();
  }

  return Object.assign(view, {
    show,
    fit: () => show(0, duration),
    pan: (ms) => show(view.start + ms, view.end + ms),
    /** Zoom by a factor (below 1: closer) around a moment that stays where it is. */
    zoom(factor, around) {
      const length = clamp((view.end - view.start) * factor, Math.min(CLOSEST, duration), duration);
      const share = (around - view.start) / (view.end - view.start);
      show(around - share * length, around + (1 - share) * length);
    },
    /** Bring a moment into view, if it is not. */
    follow(ms) {
      const length = view.end - view.start;
      if (ms < view.start || ms > view.end - 0.02 * length) show(ms - 0.1 * length, ms + 0.9 * length);
    },
  });
}
