import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { once } from "node:events";
import { request as httpRequest, createServer } from "node:http";
import { inspect } from "node:util";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import * as gatewright from "gatewright";
import { compile, engineName, fromIncoming, GatewrightError, ManifestError, openShared, PlaceError, Table } from "gatewright";

const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}, {name: other, port: 8080, protocol: HTTP}]}
`;
const route = (rules, hostname = "example.com") => `${GATEWAY}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  hostnames: [${hostname}]
  rules:
${rules}
`;
const RULES = `
  - {matches: [{path: {value: /plain}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /edits}}], timeouts: {request: 2s, backendRequest: 500ms}, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: v}]}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example, statusCode: 301}}]}
  - {matches: [{path: {value: /split}}], backendRefs: [{name: one, port: 80, weight: 1}, {name: two, port: 80, weight: 1}]}
  - {matches: [{path: {value: /match}, headers: [{name: X-Version, value: v2}]}], backendRefs: [{name: v2, port: 80}]}
  - {matches: [{path: {value: /match}}], backendRefs: [{name: v1, port: 80}]}
`;
const table = compile(route(RULES));
const get = (url, headers = { host: "example.com" }, options) => table.decide({ method: "GET", url, headers }, { port: 80, pick: 0, ...options });

test("the engine that was installed decides", () => {
  if (process.env.GATEWRIGHT_EXPECT) assert.equal(engineName(), process.env.GATEWRIGHT_EXPECT);
});

test("kinds", () => {
  const forward = get("/plain/a?b=c");
  assert.equal(forward.kind, "forward");
  assert.deepEqual([forward.target, forward.path, forward.query, forward.authority, forward.rule, forward.match], ["/plain/a?b=c", "/plain/a", "b=c", "example.com", 0, 0]);
  assert.deepEqual(forward.route, { group: "gateway.networking.k8s.io", kind: "HTTPRoute", namespace: "default", name: "r" });
  assert.deepEqual(get("/plain/%61?").target, "/plain/a?");
  assert.equal(get("/plain/%61?").query, "");
  const redirect = get("/old/x");
  assert.deepEqual([redirect.kind, redirect.status, redirect.location], ["redirect", 301, "http://new.example/old/x"]);
  assert.deepEqual(redirect.answer(), { status: 301, headers: [["location", "http://new.example/old/x"]] });
  const respond = get("/none");
  assert.deepEqual([respond.kind, respond.status, respond.reason, respond.route, respond.matched], ["respond", 404, "NoRoute", undefined, undefined]);
});

test("what many decisions share is one object", () => {
  assert.equal(get("/plain/a").backend, get("/plain/b").backend);
  assert.ok(Object.isFrozen(get("/plain/a").backend) && Object.isFrozen(get("/plain").route));
  assert.notEqual(get("/split", undefined, { pick: 0 }).backend, get("/split", undefined, { pick: (1n << 64n) - 1n }).backend);
});

test("what differs between decisions of one rule does", () => {
  assert.deepEqual([get("/edits/a").target, get("/edits/b").target], ["/edits/a", "/edits/b"]);
  const edits = get("/edits/%7e");
  assert.deepEqual([edits.requestTimeoutMs, edits.backendRequestTimeoutMs, edits.target], [2000, 500, "/edits/~"]);
  assert.deepEqual(edits.requestEdits, [{ action: "set", name: "x-set", value: "v" }]);
  const answer = [["connection", "x-hop"], ["x-hop", "1"], ["x-kept", "1"]];
  assert.deepEqual(edits.applyResponse(answer), answer);
  assert.deepEqual(edits.applyResponse(answer, { fromBackend: true }), [["x-kept", "1"]]);
  assert.deepEqual(edits.applyRequest({ "x-set": "client", connection: "x-gone", "x-gone": "1" }), [["x-set", "v"], ["host", "example.com"]]);
});

test("forms of header fields", () => {
  const forms = [
    { host: "example.com", "x-version": "v2" }, { Host: "example.com", "X-VERSION": ["v1", "v2"] },
    [["host", "example.com"], ["X-Version", "v2"]], new Headers({ host: "example.com", "x-version": "v2" }),
    { rawHeaders: ["Host", "example.com", "x-versioN", "v2"] }, { host: "example.com", "x-version": "v2", "x-none": undefined },
  ];
  for (const headers of forms) assert.equal(get("/match", headers).backend.name, "v2", inspect(headers));
  assert.equal(get("/match").backend.name, "v1");
  // What a prototype has is no field.
  assert.equal(get("/match", Object.assign(Object.create({ "x-version": "v2" }), { host: "example.com" })).backend.name, "v1");
  assert.equal(get("/plain", [["host", "example.com"], ["host", "example.com"]]).status, 400);
  assert.equal(get("/plain", {}).status, 400);
  assert.equal(get("/plain", {}, { httpVersion: "1.0" }).status, 404);
});

test("a web Request, and absolute urls", () => {
  assert.equal(table.decide(new Request("http://example.com/plain/a?b#c"), { port: 80 }).target, "/plain/a?b");
  assert.equal(get("http://example.com/plain", { host: "other.example" }).backend.name, "b");
  assert.equal(get("https://example.com/plain").reason, "SchemeMismatch");
  assert.equal(get("https://example.com/plain", undefined, { scheme: "http" }).target, "/plain");
  assert.equal(get("/plain", {}, { authority: "example.com" }).kind, "forward");
  assert.equal(get("/plain", { host: "b.example" }, { authority: "example.com", httpVersion: "2" }).status, 400);
});

test("toRequest", async () => {
  const request = new Request("http://example.com/edits/a?b=c", { method: "POST", body: "text", headers: { host: "example.com", "x-a": "1" } });
  const made = table.decide(request, { port: 80 }).toRequest(request, "http://10.0.0.7:8080");
  assert.deepEqual([made.url, made.method, made.headers.get("x-set"), made.headers.get("x-a"), await made.text()], ["http://10.0.0.7:8080/edits/a?b=c", "POST", "v", "1", "text"]);
  assert.throws(() => get("/edits").toRequest(new Request("http://example.com/edits"), "http://h/path"), TypeError);
  const raw = compile(route(RULES), { profile: "raw" }).decide({ method: "GET", url: "/plain/../edits", headers: { host: "example.com" } }, { port: 80 });
  assert.equal(raw.target, "/plain/../edits");
  assert.throws(() => raw.toRequest(new Request("http://example.com/"), "http://10.0.0.7"), /cannot carry/);
});

test("errors", () => {
  assert.throws(() => get("/", undefined, { port: 81 }), (error) => error instanceof PlaceError && error instanceof GatewrightError && error instanceof Error && error.code === "GATEWRIGHT_PLACE" && /80, 8080/.test(error.message));
  assert.throws(() => get("/", undefined, { gateway: "a/b" }), PlaceError);
  assert.throws(() => get("/", undefined, { listener: "none" }), PlaceError);
  assert.throws(() => compile("kind: [", {}), (error) => error instanceof ManifestError && error.code === "GATEWRIGHT_MANIFEST" && error.diagnostics[0].code === "GW001");
  const broken = `${GATEWAY}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: g}], rules: [{matches: [{path: {value: no-slash}}]}]}\n`;
  assert.throws(() => compile(broken, { raiseOn: "error" }), ManifestError);
  assert.ok(compile(broken).diagnostics().some(({ severity }) => severity === "error"));
  assert.equal(compile("kind: [", { raiseOn: "never" }).gateways().length, 0);
  for (const options of [{ raiseOn: "x" }, { profile: "x" }, { regexrank: "by-length" }, { unavailablePorts: [1.5] }, { withoutFeatures: ["x"] }]) assert.throws(() => compile(GATEWAY, options), TypeError, inspect(options));
  for (const source of [1, null, undefined, true, () => {}]) assert.throws(() => compile(source), TypeError);
  for (const pick of [-1, 1.5, NaN, 2 ** 64, -1n, 1n << 64n, "1"]) assert.throws(() => get("/plain", undefined, { pick }), TypeError, String(pick));
});

test("text that is no octets is told", () => {
  assert.throws(() => get("/plain\u0100"), /is no octet/);
  assert.throws(() => get("/match", { host: "example.com", "x-version": "\ud800" }), /is no octet/);
  assert.throws(() => get("/plain", { host: "example.com\u2028" }), /is no octet/);
  assert.throws(() => get("/match", { host: "example.com", "x-version": "v1\nx-version: v2" }), /line feed/);
  assert.throws(() => get("/match", { host: "example.com", "x-versio\n": "v1" }, { port: 80 }), /no name/);
  assert.equal(get("/plain\n").status, 400);
  assert.equal(get("/match", { host: "example.com", "x-version": "\xe9" }).backend.name, "v1");
});

test("long requests are decided as well", () => {
  const long = "a".repeat(7000);
  assert.equal(get(`/plain/${long}`).target, `/plain/${long}`);
  assert.equal(get(`/plain/${"a".repeat(9000)}`).status, 414);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x-${n}`, "v".repeat(100)]));
  assert.equal(get("/match", { ...many, host: "example.com", "x-version": Array(100).fill("v".repeat(120)).concat("v2") }).backend.name, "v2");
});

test("fast and complete path say the same", () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const of = (list) => list[random(list.length)];
  for (let n = 0; n < 3000; n++) {
    const url = of(["/plain", "/edits", "/old", "/split", "/match", "/none", "/%70lain", "//plain", "/a/../plain", "*", ""]) + of(["", "/x", "?q=1", "/%2e%2e/plain", "/%zz", "#f"]);
    const headers = [["host", of(["example.com", "EXAMPLE.com:80", "other.example", "a b"])], ["x-version", of(["v1", "v2"])], [of(["connection", "content-type", "x_version", "accept"]), of(["x-version", "application/grpc", "close", "host"])]];
    const request = { method: of(["GET", "OPTIONS", "BREW", "get it"]), url, headers };
    const options = { port: 80, pick: random(2147483648) };
    assert.deepEqual(JSON.parse(JSON.stringify(table.decide(request, options))), JSON.parse(JSON.stringify(table.explain(request, options).decision)), inspect(request));
  }
});

test("explanations and lists", () => {
  const explanation = table.explain({ method: "GET", url: "/match", headers: { host: "example.com" } }, { port: 80 });
  assert.ok(explanation.text.includes("won by") && explanation.candidates.length === 6);
  assert.equal(table.gateways()[0].ports.length, 2);
  assert.deepEqual(table.listeners().map(({ name, port, protocol }) => [name, port, protocol]), [["http", 80, "http"], ["other", 8080, "http"]]);
  assert.equal(table.routes().length, 1);
  assert.ok(table.backends().some(({ name }) => name === "two"));
  assert.equal(table.routing().length, 12);
  assert.ok(table.conditions().some(({ type, status, parent }) => type === "Accepted" && status === "True" && parent?.name === "g"));
  assert.deepEqual(table.counts(), { gateways: 1, listeners: 2, routes: 1, rules: 6, matches: 6, backends: table.backends().length });
  assert.deepEqual(table.decideConnection({ port: 80 }), { decision: "http" });
  assert.ok(inspect(get("/plain")).includes("kind: 'forward'"));
});

test("meshes", () => {
  const mesh = compile("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec: {parentRefs: [{group: '', kind: Service, name: web, port: 80}], rules: [{backendRefs: [{name: v2, port: 80}]}]}\n");
  const request = { method: "GET", url: "/", headers: { host: "web" } };
  assert.equal(mesh.decide(request, { service: "shop/web", client: "shop", port: 80 }).backend.name, "v2");
  const pass = mesh.decide(request, { service: "shop/other", client: "shop" });
  assert.deepEqual([pass.kind, pass.toJSON().decision], ["passThrough", "passThrough"]);
});

test("closed tables", () => {
  const closed = compile(route(RULES));
  const kept = closed.decide({ method: "GET", url: "/edits", headers: { host: "example.com" } }, { port: 80 });
  assert.equal(kept.requestTimeoutMs, 2000);
  closed.close();
  closed.close();
  assert.equal(kept.requestTimeoutMs, 2000);
  for (const use of [() => closed.decide({ method: "GET", url: "/", headers: {} }, { port: 80 }), () => closed.gateways(), () => kept.applyRequest({}), () => closed.share()]) assert.throws(use, (error) => error.code === "GATEWRIGHT_CLOSED");
});

test("fromIncoming keeps order and repeated lines", async () => {
  const server = createServer((request, response) => {
    const decision = table.decide(fromIncoming(request), { port: 80 });
    response.end(JSON.stringify(decision));
  }).listen(0, "127.0.0.1");
  after(() => server.close());
  await once(server, "listening");
  const sent = httpRequest({ port: server.address().port, path: "/match/%61", headers: ["Host", "example.com", "X-Version", "v1", "X-Version", "v2"] }).end();
  const [answer] = await once(sent, "response");
  const decision = JSON.parse((await answer.toArray()).join(""));
  assert.deepEqual([decision.backend.name, decision.target], ["v2", "/match/a"]);
});

test("worker threads share a table", async () => {
  const shared = table.share();
  const code = `import { parentPort, workerData } from "node:worker_threads";
    import { openShared } from ${JSON.stringify(import.meta.resolve("gatewright"))};
    const table = openShared(workerData);
    const names = new Set();
    for (let n = 0; n < 20000; n++) names.add(table.decide({ method: "GET", url: "/split", headers: { host: "example.com" } }, { port: 80 }).backend.name);
    parentPort.postMessage([...names].sort());`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  const workers = Array.from({ length: 4 }, () => new Worker(url, { workerData: shared }));
  after(() => workers.forEach((worker) => worker.terminate()));
  for (const answers of await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]))) assert.deepEqual(answers, ["one", "two"]);
  const again = openShared(shared);
  assert.equal(again.decide({ method: "GET", url: "/plain", headers: { host: "example.com" } }, { port: 80 }).backend.name, "b");
  again.close();
  assert.equal(get("/plain").backend.name, "b");
  if (engineName() === "native") {
    const gone = compile(GATEWAY);
    const token = gone.share();
    gone.close();
    assert.throws(() => openShared(token), (error) => error.code === "GATEWRIGHT_CLOSED");
  }
});

test("CommonJS gets the same module", () => {
  const required = createRequire(import.meta.url)("gatewright");
  assert.equal(required.Table, Table);
  assert.deepEqual(Object.keys(required).filter((name) => name !== "default").sort(), Object.keys(gatewright).filter((name) => name !== "default").sort());
});
