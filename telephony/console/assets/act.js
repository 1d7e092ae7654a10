/** What can be done with a live call: requests that carry the page's token. */

export async function act(id, name, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const csrf = document.querySelector('meta[name="csrf"]')?.content;
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(`/api/calls/${encodeURIComponent(id)}/${name}`, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(said.error);
}
