/** Memory does not grow: not by decisions, not by tables that are closed or forgotten. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "gatewright";

const MANIFESTS = `
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
  - {matches: [{path: {value: /edits}}], filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}}], backendRefs: [{name: b, port: 80}]}
  - {matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]}
  - {matches: [{path: {value: /x}}], backendRefs: [{name: b, port: 80}]}
`;
const decisions = Number(process.env.GATEWRIGHT_SOAK ?? 1_000_000);

function used() {
  for (let n = 0; n < 3; n++) globalThis.gc();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { rss, heap: heapUsed + arrayBuffers };
}

test("a million decisions", { skip: globalThis.gc === undefined && "needs --expose-gc" }, () => {
  const table = compile(MANIFESTS);
  const round = (count, from) => {
    for (let n = from; n < from + count; n++) {
      const request = { method: "GET", url: `/${["edits", "old", "x", "none", "%78"][n % 5]}/${n}`, headers: { host: `h${n}.example`, [`x-${n % 5000}`]: "v", connection: `x-${n}` } };
      const decision = table.decide(request, { scheme: n % 50 === 0 ? `s${n}` : undefined });
      if (n % 100 === 0) JSON.stringify(decision);
    }
  };
  round(decisions / 10, 0);
  const before = used();
  round(decisions, decisions);
  const after = used();
  const grown = (after.rss - before.rss) / (1 << 20);
  assert.ok(after.heap - before.heap < 4 << 20, `the heap has grown by ${after.heap - before.heap} octets`);
  assert.ok(grown < 48, `the process has grown by ${grown.toFixed(1)} MiB`);
});

test("tables that are closed, and tables that are forgotten", { skip: globalThis.gc === undefined && "needs --expose-gc" }, async () => {
  const many = MANIFESTS + Array.from({ length: 300 }, (_, n) => `  - {matches: [{path: {value: /p${n}}}], backendRefs: [{name: b${n}, port: 80}]}\n`).join("");
  const round = async (close) => {
    for (let n = 0; n < 300; n++) {
      const table = compile(many);
      table.decide({ method: "GET", url: "/x", headers: { host: "a" } });
      if (close) table.close();
      // Finalizers run between tasks.
      if (n % 10 === 9) {
        globalThis.gc();
        await new Promise((done) => setImmediate(done));
      }
    }
  };
  for (const close of [true, false]) {
    await round(close);
    const before = used();
    await round(close);
    await round(close);
    const grown = (used().rss - before.rss) / (1 << 20);
    assert.ok(grown < 48, `the process has grown by ${grown.toFixed(1)} MiB with close: ${close}`);
  }
});
