/** Whatever comes over the boundary: a decision or a clear exception, never a crash, and never another request's decision. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compile, engineName, GatewrightError } from "gatewright";

const table = compile(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: h, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - {matches: [{headers: [{name: x-role, value: admin}]}], backendRefs: [{name: admin, port: 80}]}
  - {backendRefs: [{name: web, port: 80}]}
`);
const clear = (error) => error instanceof TypeError || error instanceof GatewrightError || error === thrown;
const thrown = new Error("thrown by a getter");
const runs = { numRuns: Number(process.env.GATEWRIGHT_RUNS ?? 2000) };

const octet = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constantFrom("\0", "\n", "\r\n", "\ud800", "\udfff\ud800", "\u0100", "x\ny:z", ":", "é", "/", "a.example", "x-role", "admin", "GET"));
const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: true, withSparseArray: true, withObjectString: true });
const oneOf = (...more) => fc.oneof({ weight: 3, arbitrary: octet }, { weight: 1, arbitrary: anything }, ...more);
const headers = fc.oneof(fc.dictionary(octet, oneOf(fc.array(octet))), fc.array(fc.tuple(octet, octet)), fc.array(oneOf()), anything, fc.record({ rawHeaders: fc.array(oneOf()) }));
const options = fc.oneof(fc.constant(undefined), fc.record({ gateway: oneOf(), port: fc.oneof(fc.integer(), anything), listener: oneOf(), service: oneOf(), client: oneOf(), sni: octet, authority: octet, scheme: octet, httpVersion: octet, pick: fc.oneof(fc.bigInt(), anything) }, { requiredKeys: [] }));

function tried(use) {
  try {
    return use();
  } catch (error) {
    assert.ok(clear(error), `${error?.stack}`);
    return undefined;
  }
}

test("requests of any shape", () => {
  fc.assert(fc.property(fc.oneof(fc.record({ method: oneOf(), url: oneOf(), headers }), anything), options, (request, options) => {
    const decision = tried(() => table.decide(request, options));
    if (decision === undefined) return;
    assert.ok(["forward", "redirect", "respond", "passThrough"].includes(decision.kind));
    tried(() => JSON.stringify(decision));
  }), runs);
});

test("a request that is decided is decided as all of it says", () => {
  const latin = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 });
  const value = fc.oneof(latin, fc.constantFrom("admin", "admin\nx-role: admin", "x\nx-role:admin"));
  const name = fc.constantFrom("x-role", "X-Role", "x_role", "accept", "connection");
  fc.assert(fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), latin, (pairs, path) => {
    const request = { method: "GET", url: `/${path}`, headers: [["host", "a.example"], ...pairs] };
    const decision = tried(() => table.decide(request, { pick: 0 }));
    const explained = tried(() => table.explain(request, { pick: 0 }));
    if (decision === undefined || explained === undefined) return;
    assert.deepEqual(JSON.parse(JSON.stringify(decision)), JSON.parse(JSON.stringify(explained.decision)));
    if (decision.kind === "forward") {
      const admin = pairs.some(([name, value]) => name.toLowerCase() === "x-role" && value.trim() === "admin");
      if (!pairs.some(([name]) => name === "connection")) assert.equal(decision.backend.name, admin ? "admin" : "web");
    }
  }), runs);
});

test("manifests and options of any shape", () => {
  fc.assert(fc.property(fc.oneof(oneOf(), fc.uint8Array()), fc.oneof(fc.constant(undefined), fc.dictionary(fc.constantFrom("profile", "controller", "raiseOn", "unavailablePorts", "extensions", "mergeSlashes", "x"), anything), anything), (source, options) => {
    tried(() => compile(source, options))?.close();
  }), { numRuns: runs.numRuns / 4 });
});

test("messages that are edited", () => {
  const decision = table.decide({ method: "GET", url: "/", headers: { host: "a" } });
  fc.assert(fc.property(headers, (fields) => {
    tried(() => decision.applyRequest(fields));
    tried(() => decision.applyResponse(fields));
  }), runs);
});

test("getters and proxies", () => {
  const throwing = { get method() { throw thrown; } };
  const proxy = new Proxy({}, { get() { throw thrown; }, has() { throw thrown; }, ownKeys() { throw thrown; } });
  const fields = { method: "GET", url: "/", headers: new Proxy({ host: "a" }, { get(target, name) { if (name === "host") throw thrown; return target[name]; } }) };
  for (const request of [throwing, proxy, fields, { method: "GET", url: "/", headers: proxy }]) assert.throws(() => table.decide(request), (error) => error === thrown);
  assert.throws(() => table.decide({ method: "GET", url: "/", headers: {} }, proxy), (error) => error === thrown);
  assert.throws(() => compile({ get kind() { throw thrown; } }), (error) => error === thrown);
  const cyclic = {};
  cyclic.self = cyclic;
  assert.throws(() => compile(cyclic), TypeError);
  // A getter that decides in between changes nothing.
  const nested = { method: "GET", url: "/", headers: { get host() { table.decide({ method: "GET", url: "/", headers: { host: "b", "x-role": "admin" } }); return "a"; } } };
  assert.equal(table.decide(nested).backend.name, "web");
  const role = { method: "GET", url: "/", headers: { host: "a", get "x-role"() { table.decide({ method: "GET", url: "/", headers: {} }); return "admin"; } } };
  assert.equal(table.decide(role).backend.name, "admin");
});

test("strings of 100 MiB", () => {
  const large = "x".repeat(100 << 20);
  assert.equal(table.decide({ method: "GET", url: `/${large.slice(0, 1 << 20)}`, headers: { host: "a" } }).status, 414);
  for (const request of [{ method: "GET", url: `/${large}`, headers: { host: "a" } }, { method: large, url: "/", headers: { host: "a" } }, { method: "GET", url: "/", headers: { host: large } }, { method: "GET", url: "/", headers: { host: "a", "x-role": large } }]) {
    const decision = tried(() => table.decide(request));
    assert.ok(decision === undefined || decision.kind === "respond" || decision.backend.name === "web");
  }
  // Nothing can be read of it, but nothing breaks either. WebAssembly has four gigabytes at most.
  if (engineName() === "native") tried(() => compile(large, { raiseOn: "never" }));
});
