/** The page that is one file: the call and its audio are within it. */

import { byId, element } from "./format.js";
import { showCall } from "./main.js";

function fillFacts(data) {
  const { call } = data;
  byId("call-id").textContent = call.id || "without an id";
  const outcome = call.end ? [call.end.outcome, call.end.reason].filter(Boolean).map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(", ") : "unknown";
  const facts = { agent: call.agent, began: call.started, outcome, tape: call.mode, voxline: call.voxline };
  for (const [name, value] of Object.entries(facts)) {
    if (value) byId("call-facts").append(element("li", {}, `${name} `, element("b", {}, value)));
  }
  if (call.settings_hash) {
    const hash = element("code", { title: call.settings_hash }, call.settings_hash.slice(0, 12));
    byId("call-facts").append(element("li", {}, "settings ", hash));
  }
}

function start() {
  const data = JSON.parse(byId("data").textContent);
  fillFacts(data);
  showCall(data, byId("audio").textContent);
}

start();
