/** Real requests through the handlers, to real backends. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { after, test } from "node:test";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import WebSocket, { WebSocketServer } from "ws";
import { compile } from "gatewright";
import { createFetchHandler } from "gatewright/fetch";
import { annotate, annotateFastify } from "gatewright/middleware";
import { createGateway } from "gatewright/node";

const RULES = [
  ["/echo", "", "echo:80"], ["/edits", "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: v}]}}, {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-answer, value: w}]}}, {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /echo}}}],", "echo:80"],
  ["/old", "filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}],", undefined],
  ["/slow", "timeouts: {request: 200ms},", "slow:80"], ["/dead", "", "dead:80"],
  ["/flaky", "retry: {attempts: 2, codes: [503]},", "flaky:80"],
  ["/mirrored", "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: mirror, port: 80}}}],", "echo:80"],
  ["/auth", "filters: [{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}}}],", "echo:80"],
  ["/extension", "filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Teapot, name: t}}],", "echo:80"],
  ["/session", "sessionPersistence: {sessionName: s},", "echo:80"],
].map(([path, more, backend]) => `  - {matches: [{path: {value: ${path}}}], ${more} backendRefs: [${backend ? `{name: ${backend.split(":")[0]}, port: 80}` : ""}]}`).join("\n");
const MANIFESTS = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
${RULES}
`;
const extensions = [{ group: "example.com", kind: "Teapot", name: "t" }];
const table = compile(MANIFESTS, { extensions });

const servers = [];
async function serve(handler) {
  const server = http.createServer(handler).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { server, port: server.address().port };
}
after(() => servers.forEach((server) => (server.closeAllConnections(), server.close())));

let flaky = 0;
const mirrored = [];
const echo = await serve((request, response) => {
  response.setHeader("x-url", request.url).setHeader("x-headers", JSON.stringify(request.rawHeaders)).setHeader("connection", "x-hop").setHeader("x-hop", "1").setHeader("set-cookie", ["a=1", "b=2"]);
  request.pipe(response);
});
const slow = await serve(() => {});
const flakyBackend = await serve((request, response) => response.writeHead(flaky++ < 2 ? 503 : 200).end(`attempt ${flaky}`));
const mirror = await serve(async (request, response) => {
  mirrored.push((await request.toArray()).join(""));
  response.end();
});
const at = ({ port }) => `http://127.0.0.1:${port}`;
const resolve = { "default/echo:80": at(echo), "default/slow:80": at(slow), "default/flaky:80": at(flakyBackend), "default/mirror:80": at(mirror), "default/dead:80": "http://127.0.0.1:1" };
const failures = [];
const onError = (error) => failures.push(error);
const gateway = createGateway(table, { resolve, onError });
const front = await serve(gateway);
front.server.on("upgrade", gateway.upgrade);
after(() => gateway.close());

const handlers = {
  "gatewright/node": (path, init) => fetch(at(front) + path, { redirect: "manual", ...init }),
  "gatewright/fetch": (path, init) => createFetchHandler(table, { resolve, onError, clientAddress: () => "192.0.2.7" })(new Request(`http://127.0.0.1${path}`, { redirect: "manual", headers: { host: "127.0.0.1" }, ...init, ...(init?.headers && { headers: { host: "127.0.0.1", ...init.headers } }) })),
};

for (const [name, ask] of Object.entries(handlers)) {
  test(`${name}: forwards`, async () => {
    const answer = await ask("/edits/a?b=c", { method: "POST", body: "text", headers: { "x-real-ip": "10.0.0.1", "x-b": "1" } });
    const headers = JSON.parse(answer.headers.get("x-headers"));
    const value = (wanted) => headers[headers.findIndex((each, n) => n % 2 === 0 && each.toLowerCase() === wanted) + 1];
    assert.deepEqual([answer.status, await answer.text(), answer.headers.get("x-url"), answer.headers.get("x-answer")], [200, "text", "/echo/a?b=c", "w"]);
    assert.deepEqual([value("x-set"), value("x-b"), value("x-forwarded-proto")], ["v", "1", "http"]);
    assert.ok(!headers.includes("10.0.0.1") && value("x-forwarded-for").length > 6);
    assert.deepEqual([answer.headers.get("x-hop"), answer.headers.getSetCookie()], [null, ["a=1", "b=2"]]);
  });

  test(`${name}: answers`, async () => {
    const redirect = await ask("/old/x");
    assert.deepEqual([redirect.status, redirect.headers.get("location")], [302, "http://new.example/old/x"]);
    assert.equal((await ask("/none")).status, 404);
    const grpc = await ask("/none", { method: "POST", headers: { "content-type": "application/grpc" } });
    assert.deepEqual([grpc.status, grpc.headers.get("grpc-status")], [200, "12"]);
  });

  test(`${name}: failures of backends`, async () => {
    assert.equal((await ask("/dead")).status, 502);
    assert.equal((await ask("/slow")).status, 504);
    const grpc = await ask("/dead", { method: "POST", headers: { "content-type": "application/grpc" } });
    assert.deepEqual([grpc.status, grpc.headers.get("grpc-status")], [200, "14"]);
    assert.ok(failures.length > 0);
  });

  test(`${name}: retries`, async () => {
    for (const init of [{}, { method: "POST", body: "small" }]) {
      flaky = 0;
      const answer = await ask("/flaky", init);
      assert.deepEqual([answer.status, await answer.text()], [200, "attempt 3"]);
    }
    flaky = 0;
    const large = await ask("/flaky", { method: "POST", body: "x".repeat(200_000) });
    assert.deepEqual([large.status, flaky], [503, 1]);
  });

  test(`${name}: mirrors`, async () => {
    mirrored.length = 0;
    assert.equal(await (await ask("/mirrored", { method: "POST", body: "copied" })).text(), "copied");
    for (let n = 0; n < 100 && mirrored.length === 0; n++) await new Promise((done) => setTimeout(done, 10));
    assert.deepEqual(mirrored, ["copied"]);
  });

  test(`${name}: what it cannot carry out is never skipped`, async () => {
    for (const path of ["/auth", "/extension", "/session"]) assert.equal((await ask(path)).status, 500, path);
  });
}

test("gatewright/node: large bodies stream both ways", async () => {
  const size = 8 << 20;
  let sent = 0;
  const body = new ReadableStream({ pull(controller) { sent += 65536; controller.enqueue(new Uint8Array(65536)); if (sent >= size) controller.close(); } });
  const answer = await handlers["gatewright/node"]("/echo", { method: "POST", body, duplex: "half" });
  let received = 0;
  for await (const chunk of answer.body) received += chunk.length;
  assert.equal(received, size);
});

test("gatewright/node: a client that goes away ends the request to the backend", async () => {
  const gone = once(slow.server, "request").then(([request]) => new Promise((done) => request.on("error", () => {}).on("close", done)));
  const client = http.get(`${at(front)}/slow`).on("error", () => {});
  setTimeout(() => client.destroy(), 50);
  await gone;
});

test("gatewright/node: WebSocket", async () => {
  const backend = new WebSocketServer({ server: echo.server, path: "/echo/ws" });
  backend.on("connection", (socket) => socket.on("message", (text) => socket.send(`${text}!`)));
  const client = new WebSocket(`ws://127.0.0.1:${front.port}/edits/ws`);
  await once(client, "open");
  client.send("hello");
  const [text] = await once(client, "message");
  assert.equal(String(text), "hello!");
  client.close();
  await once(client, "close");
  backend.close();
  const refused = new WebSocket(`ws://127.0.0.1:${front.port}/none`);
  const [error] = await once(refused, "error");
  assert.match(error.message, /404/);
});

test("gatewright/node: HTTP/2 in front, and behind", async () => {
  const backend = http2.createServer((request, response) => response.end(`h2 ${request.url}`)).listen(0, "127.0.0.1");
  await once(backend, "listening");
  const service = "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {ports: [{port: 80, appProtocol: kubernetes.io/h2c}]}\n---\n" + MANIFESTS;
  const own = createGateway(compile(service, { extensions, missingServices: "assume" }), { resolve: { "default/echo:80": `http://127.0.0.1:${backend.address().port}` } });
  const server = http2.createServer(own).listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
  const stream = session.request({ ":path": "/echo/x", "x-a": "1" });
  const [headers] = await once(stream, "response");
  assert.deepEqual([headers[":status"], (await stream.toArray()).join("")], [200, "h2 /echo/x"]);
  session.close();
  server.close();
  await own.close();
  backend.close();
});

test("extensions, sessions", async () => {
  const keys = { keys: [{ id: 1, secret: new Uint8Array(32).fill(7) }] };
  const own = createFetchHandler(table, { resolve, sessions: keys, extensions: { "Teapot/default/t": () => new Response("tea", { status: 418 }) } });
  assert.equal((await own(new Request("http://a.example/extension"))).status, 418);
  const answer = await own(new Request("http://a.example/session"));
  assert.ok(answer.headers.getSetCookie().some((cookie) => cookie.startsWith("s=")));
  const node = createGateway(table, { resolve, sessions: keys, extensions: { "Teapot/default/t": (_, response) => (response.writeHead(418).end(), true) } });
  const server = await serve(node);
  assert.equal((await fetch(`${at(server)}/extension`)).status, 418);
  assert.ok((await fetch(`${at(server)}/session`)).headers.getSetCookie().some((cookie) => cookie.startsWith("s=")));
  await node.close();
});

test("Hono", async () => {
  const app = new Hono();
  const own = createFetchHandler(table, { resolve });
  app.get("/health", (context) => context.text("well"));
  app.all("*", (context) => own(context.req.raw));
  assert.equal(await (await app.request("http://a.example/health")).text(), "well");
  assert.equal((await app.request("http://a.example/echo/x")).headers.get("x-url"), "/echo/x");
});

test("Express and Fastify annotate, and do nothing else", async () => {
  const app = express();
  app.use("/echo", annotate(table));
  app.use((request, response) => response.json(request.gatewright ?? null));
  const { port } = await serve(app);
  assert.equal((await (await fetch(`http://127.0.0.1:${port}/echo/x`)).json()).target, "/echo/x");
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/none`)).json(), null);
  const fastify = Fastify();
  fastify.decorateRequest("gatewright", undefined);
  fastify.addHook("onRequest", annotateFastify(table));
  fastify.get("/*", async (request) => request.gatewright);
  assert.equal(JSON.parse((await fastify.inject({ url: "/echo/y", headers: { host: "a" } })).body).target, "/echo/y");
  await fastify.close();
});
