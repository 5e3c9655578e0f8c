/**
 * Every vector of the project and every case of the upstream conformance suite, as Rust answers it, asked again through this
 * package: decisions, explanations, what is carried out, status and diagnostics are compared whole.
 */
import assert from "node:assert/strict";
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { compile, engineName } from "gatewright";

const file = process.env.GATEWRIGHT_ANSWERS;
/** What the vectors write in another way; the rest are choices with their names in snake_case. */
const read = {
  addresses: (list) => list.map((text) => ({ type: text.split(" ")[0], value: text.split(" ")[1] })),
  extensions: (list) => list.map((text) => {
    const [, group, kind, namespace, name] = /^(.*)\/(\w+) (.*)\/(.*)$/.exec(text);
    return { group, kind, namespace, name };
  }),
};
const counts = {};

test("answers are those of Rust", { skip: file === undefined && "no answers to compare with: GATEWRIGHT_ANSWERS" }, async () => {
  for await (const text of createInterface({ input: createReadStream(file) })) line(JSON.parse(text));
  assert.ok(counts.vectors?.worlds > 500, "hardly any worlds");
  const kept = process.env.GATEWRIGHT_COUNTS;
  if (kept === undefined) return;
  // Both engines are asked the same; one of them keeps the counts, the other compares.
  const rows = Object.entries(counts).sort().map(([suite, of]) => `${suite}: {${Object.entries(of).map(([name, count]) => `${name}: ${count}`).join(", ")}}\n`);
  const text = "# Written by the tests of the npm package, native and in WebAssembly, with GATEWRIGHT_KEEP=1.\n" + rows.join("");
  if (process.env.GATEWRIGHT_KEEP === "1" && engineName() === "native") writeFileSync(kept, text);
  else assert.equal(existsSync(kept) ? readFileSync(kept, "utf8") : "", text, `${kept} is stale: GATEWRIGHT_KEEP=1 writes it`);
});

let count;

function line({ id, suite, manifests, options, status, diagnostics, asks, session, conversations }) {
  count = counts[suite] ??= { worlds: 0, requests: 0, connections: 0, "steps of conversations": 0 };
  count.worlds++;
  const table = tableOf(manifests, options);
  same(id, "status", table.status(), status);
  // What compiling finds has its place filled in here, as `check` does it.
  const found = table.diagnostics().map(({ text, position, ...rest }, n) => (diagnostics[n]?.position === undefined ? rest : { position, ...rest }));
  same(id, "diagnostics", found, diagnostics);
  for (const [n, ask] of (asks ?? []).entries()) (ask.kind === "connection" ? connection : request)(table, ask, `${id} ask ${n}`);
  table.close();
  for (const [n, steps] of (conversations ?? []).entries()) conversation(id, n, steps, manifests, options, session);
}

function tableOf(manifests, options) {
  const sources = manifests.map(([name, text]) => ({ name, text }));
  return compile(sources, { ...optionsOf(options), raiseOn: "never" });
}

function optionsOf(options) {
  const camel = (name) => name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [camel(name), read[name]?.(value) ?? value]));
}

function asked(request) {
  const { method, target, headers, authority, no_authority, scheme, gateway, port, service, client, sni, listener, listener_set, pick } = request;
  const fields = headers.filter(([name]) => name.toLowerCase() !== "host" || authority !== undefined);
  if (no_authority === "ambiguous") fields.push(["host", "a"], ["host", "b"]);
  const options = { authority, scheme, gateway, port, service, client, sni: sni ?? "", listener, listenerSet: listener_set, pick: BigInt(pick) };
  if (no_authority === "absent") options.httpVersion = "1.0";
  return [{ method, url: target, headers: fields }, options];
}

function request(table, ask, where) {
  count.requests++;
  const [input, options] = asked(ask.request);
  const decision = table.decide(input, options);
  same(where, "decision", plain(decision), ask.decision.decision === "passThrough" ? { ...ask.decision, message: decision.message } : ask.decision);
  if (ask.explanation !== undefined) {
    const { text, ...explanation } = table.explain(input, options);
    same(where, "explanation", explanation, ask.explanation);
  }
  if (ask.applied === undefined) return;
  if (decision.kind === "forward") {
    same(where, "target", decision.target, ask.applied.target);
    same(where, "path and query", decision.query === undefined ? decision.path : `${decision.path}?${decision.query}`, ask.applied.target);
    same(where, "request", sorted(decision.applyRequest(input.headers)), ask.applied.request);
    same(where, "response", sorted(decision.applyResponse(ask.applied.given_response)), ask.applied.response);
  } else {
    const answer = decision.answer();
    same(where, "answer", { status: answer.status, headers: sorted(answer.headers) }, ask.applied);
  }
  properties(decision, where);
}

/** Each property says what the whole says. */
function properties(decision, where) {
  const json = plain(decision);
  const of = { requestEdits: "requestHeaders", responseEdits: "responseHeaders" };
  const names = ["gateway", "listener", "listenerSet", "service", "route", "rule", "ruleName", "match", "auth", "responseEdits", "extensions"];
  const more = { forward: ["backend", "target", "authority", "requestEdits", "mirrors", "requestTimeoutMs", "backendRequestTimeoutMs", "retry", "session"], redirect: ["status", "location"], respond: ["status", "grpcStatus", "reason", "message"] };
  for (const name of [...names, ...more[decision.kind]]) {
    const value = decision[name];
    same(where, name, value === undefined || (Array.isArray(value) && value.length === 0) ? undefined : value, json[of[name] ?? name]);
  }
}

function connection(table, ask, where) {
  count.connections++;
  const { transport, gateway, service, client, port, sni, pick } = ask.connection;
  // A port number with TLS on it is found by number; without one the protocol counts.
  const options = { transport: transport === "udp" ? "udp" : "tcp", gateway, service, client, port, sni, pick: BigInt(pick) };
  same(where, "decision", plain(table.decideConnection(options)), ask.decision);
  if (ask.explanation !== undefined) {
    const { text, ...explanation } = table.explainConnection(options);
    same(where, "explanation", explanation, ask.explanation);
  }
}

function conversation(id, n, steps, manifests, options, session) {
  let table = tableOf(manifests, options);
  const secret = Uint8Array.from(Buffer.from(session.key, "hex"));
  for (const [number, step] of steps.entries()) {
    count["steps of conversations"]++;
    const where = `${id} conversation ${n} step ${number}`;
    if (step.manifests !== undefined) {
      table.close();
      table = tableOf(step.manifests, options);
    }
    const [input, place] = asked(step.request);
    const sessions = { keys: [{ id: session.key_id, secret }], now: session.start + step.at };
    const decision = table.decide(input, { ...place, sessions });
    same(where, "decision", plain(decision), step.decision);
    if (decision.kind !== "forward") continue;
    if (step.established) same(where, "endpoint", decision.sessionEndpoint ?? null, step.endpoint);
    const at = step.endpoint === null || step.endpoint === undefined ? undefined : endpointOf(step.endpoint);
    same(where, "told", decision.sessionField(at) ?? null, step.told ?? null);
  }
  table.close();
}

function endpointOf(text) {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

const plain = (value) => JSON.parse(JSON.stringify(value));
const sorted = (fields) => fields.map(([name, value]) => [name.toLowerCase(), value]).map((each, n) => [each, n]).sort(([a, n], [b, m]) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : n - m)).map(([each]) => each);

function same(where, what, found, expected) {
  assert.deepEqual(found, expected, `${where}: ${what}`);
}
