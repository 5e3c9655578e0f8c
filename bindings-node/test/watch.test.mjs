import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { load, ManifestError, watch } from "gatewright";

const GATEWAY = (port) => `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {gatewayClassName: c, listeners: [{name: h, port: ${port}, protocol: HTTP}]}\n`;
const folder = mkdtempSync(join(tmpdir(), "gatewright-"));
after(() => rmSync(folder, { recursive: true }));

test("files and folders", () => {
  const at = join(folder, "load");
  mkdirSync(join(at, "below/..hidden"), { recursive: true });
  writeFileSync(join(at, "a.yaml"), GATEWAY(80));
  writeFileSync(join(at, "below/b.json"), JSON.stringify({ apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name: "h" }, spec: { gatewayClassName: "c", listeners: [{ name: "h", port: 80, protocol: "HTTP" }] } }));
  for (const name of ["README.md", ".b.yaml", "below/..hidden/c.yaml"]) writeFileSync(join(at, name), "kind: [");
  symlinkSync(at, join(at, "below/again"));
  assert.deepEqual(load(at).gateways().map(({ name }) => name), ["default/g", "default/h"]);
  assert.equal(load([join(at, "a.yaml")]).gateways().length, 1);
  assert.throws(() => load(join(at, "none.yaml")), (error) => error instanceof ManifestError && error.diagnostics[0].code === "IO");
  assert.throws(() => load(join(at, "README.md")), (error) => error.diagnostics[0].position.file.endsWith("README.md"));
  assert.throws(() => load([1]), TypeError);
});

test("changes, and changes that cannot be served", { timeout: 60_000 }, async () => {
  const at = join(folder, "watch");
  mkdirSync(at);
  const file = join(at, "a.yaml");
  writeFileSync(file, GATEWAY(80));
  const end = new AbortController();
  const watcher = watch(at, { signal: end.signal });
  const next = async () => (await watcher.next()).value;
  const port = (event) => event.table.gateways()[0].ports[0].number;
  const first = await next();
  assert.deepEqual([first.kind, port(first)], ["table", 80]);
  writeFileSync(file, GATEWAY(81));
  const second = await next();
  assert.deepEqual([second.kind, port(second)], ["table", 81]);
  writeFileSync(file, "kind: [");
  const broken = await next();
  assert.ok(broken.kind === "broken" && broken.error instanceof ManifestError);
  assert.equal(broken.table, second.table);
  assert.equal(watcher.table, second.table);
  writeFileSync(file, "");
  assert.match((await next()).error.message, /no Gateway/);
  writeFileSync(file, GATEWAY(82));
  assert.equal(port(await next()), 82);
  const waiting = watcher.next();
  end.abort();
  assert.equal((await waiting).done, true);
});

test("a watcher ends by return and by its disposer", { timeout: 60_000 }, async () => {
  const at = join(folder, "ends");
  mkdirSync(at);
  writeFileSync(join(at, "a.yaml"), GATEWAY(80));
  for await (const event of watch(at)) {
    assert.equal(event.kind, "table");
    break;
  }
  const watcher = watch(at);
  await watcher.next();
  await watcher[Symbol.asyncDispose]();
  assert.equal((await watcher.next()).done, true);
  const aborted = watch(at, { signal: AbortSignal.abort() });
  assert.equal((await aborted.next()).done, true);
});
