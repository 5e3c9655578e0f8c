/** The entries for browsers and edge workers, in a real browser and a real worker runtime. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

const folder = dirname(fileURLToPath(import.meta.resolve("gatewright")));
const MANIFESTS = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: h, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: g}], rules: [{matches: [{path: {value: /api}}], backendRefs: [{name: b, port: 80}]}]}
`;
const USE = `
  const table = compile(${JSON.stringify(MANIFESTS)});
  const decision = table.decide({ method: "GET", url: "/api/%61?b", headers: { host: "a.example" } });
  const found = [engineName(), decision.kind, decision.target, decision.backend.name, table.decide(new Request("http://a.example/none")).status];
`;
const EXPECTED = ["wasm", "forward", "/api/a?b", "b", 404];
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));

test("Chromium", { skip: chromium === undefined && "chromium is not installed", timeout: 60_000 }, async () => {
  const types = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
  const server = createServer((request, response) => {
    const page = `<!doctype html><script type="module">
      try { const { compile, engineName } = await import("/browser.js"); ${USE} window.found = found; } catch (error) { window.found = String(error.stack); }
    </script>`;
    const path = request.url === "/" ? "/index.html" : request.url;
    response.setHeader("content-type", types[extname(path)] ?? "text/plain");
    if (path === "/index.html") return response.end(page);
    response.end(existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { chromium: driver } = await import("playwright-core");
  const browser = await driver.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => window.found !== undefined);
    assert.deepEqual(await page.evaluate(() => window.found), EXPECTED);
  } finally {
    await browser.close();
    server.close();
  }
});

test("workerd", { timeout: 60_000 }, async () => {
  const { Miniflare } = await import("miniflare");
  const script = `
    import { compile, engineName } from "./workerd.js";
    import { createFetchHandler } from "./fetch.js";
    ${USE}
    const handler = createFetchHandler(table, { resolve: { "default/b:80": "http://backend.example" }, fetch: async (request) => new Response(request.url) });
    export default { fetch: async (request) => new URL(request.url).pathname === "/found" ? Response.json(found) : handler(request) };
  `;
  const module = (path, type) => ({ type, path, contents: readFileSync(join(folder, path)) });
  const worker = new Miniflare({
    compatibilityDate: "2025-09-01",
    modules: [{ type: "ESModule", path: "worker.js", contents: script }, module("workerd.js", "ESModule"), module("fetch.js", "ESModule"), module("gatewright.wasm", "CompiledWasm")],
  });
  try {
    assert.deepEqual(await (await worker.dispatchFetch("http://a.example/found")).json(), EXPECTED);
    assert.equal(await (await worker.dispatchFetch("http://a.example/api/x?y")).text(), "http://backend.example/api/x?y");
    assert.equal((await worker.dispatchFetch("http://a.example/none")).status, 404);
  } finally {
    await worker.dispose();
  }
});
