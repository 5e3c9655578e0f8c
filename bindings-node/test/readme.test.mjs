/** What the README prints works as printed. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { once } from "node:events";
import { test } from "node:test";

const readme = readFileSync(process.env.GATEWRIGHT_README, "utf8");
const blocks = [...readme.matchAll(/```(\w+)(?: (\w+))?\n([\s\S]*?)```/g)].map(([, language, kind, code]) => ({ language, kind, code }));
const of = (language, kind) => blocks.filter((block) => block.language === language && block.kind === kind).map(({ code }) => code);
const folder = join(process.cwd(), "readme");
mkdirSync(join(folder, "manifests"), { recursive: true });
writeFileSync(join(folder, "manifests/shop.yaml"), `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {parentRefs: [{name: edge}], hostnames: [shop.example.com], rules: [{matches: [{path: {value: /cart}}], backendRefs: [{name: web, port: 80}]}]}
`);

/** Runs a block as a file of its own. */
function file(name, code) {
  writeFileSync(join(folder, name), code);
  return join(folder, name);
}
// Else the runner of the tests inside would take itself for a part of this one.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
const node = (...args) => execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8", env });

test("modules print what they say", () => {
  const codes = of("js", undefined);
  assert.equal(codes.length, 2);
  for (const [n, code] of codes.entries()) {
    const expected = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, text]) => text);
    assert.ok(expected.length > 0);
    assert.deepEqual(node(file(`module${n}.mjs`, code)).trim().split("\n"), expected);
  }
});

test("CommonJS", () => {
  const [code] = of("cjs", undefined);
  assert.equal(node(file("required.cjs", `${code}\nconsole.log(typeof compile, typeof fromIncoming);`)).trim(), "function function");
});

test("the test passes, and fails for other manifests", () => {
  const [code] = of("js", "test");
  node("--test", file("routing.test.mjs", code));
  assert.throws(() => execFileSync(process.execPath, ["--test", file("other.test.mjs", code.replace('"web"', '"other"'))], { cwd: folder, stdio: "pipe", env }));
});

for (const kind of ["serve", "watch"]) {
  test(`the edge service: ${kind}`, { timeout: 30_000 }, async () => {
    const backend = createServer((request, response) => response.end(`backend ${request.url}`)).listen(0, "127.0.0.1");
    await once(backend, "listening");
    const [code] = of("js", kind);
    const resolve = `{ resolve: { "default/web:80": "http://127.0.0.1:${backend.address().port}" } }`;
    const own = code.replace("http://127.0.0.1:9001", `http://127.0.0.1:${backend.address().port}`).replace("() => watcher.table)", `() => watcher.table, ${resolve})`)
      .replace("listen(8080)", 'listen(0, () => console.log(server.address().port))');
    const child = spawn(process.execPath, [file(`${kind}.mjs`, own)], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const [port] = await once(child.stdout, "data");
      const ask = (path) => new Promise((done, fail) => {
        import("node:http").then(({ get }) => get({ port: Number(port), path, headers: { host: "shop.example.com" } }, async (answer) => done([answer.statusCode, (await answer.toArray()).join("")])).on("error", fail));
      });
      assert.deepEqual(await ask("/cart/1"), [200, "backend /cart/1"]);
      assert.equal((await ask("/none"))[0], 404);
    } finally {
      child.kill();
      backend.close();
    }
  });
}
