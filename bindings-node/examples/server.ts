/** A gateway on node:http that follows its manifests. */
import { createServer } from "node:http";
import { watch, type BackendInfo, type Table } from "gatewright";
import { createGateway } from "gatewright/node";

const end = new AbortController();
process.once("SIGTERM", () => end.abort());
await using watcher = watch(["manifests/"], { signal: end.signal });
const first = await watcher.next();
if (first.done || first.value.kind === "broken") throw new Error("no manifests that can be served");

const table = (): Table => watcher.table!;
const resolve = (backend: BackendInfo): string | undefined => (backend.namespace === "local" ? `http://127.0.0.1:${backend.port}` : undefined);
const gateway = createGateway(table, { resolve, onDecision: (decision, request) => console.log(request.url, decision.kind) });
const server = createServer(gateway).on("upgrade", gateway.upgrade).listen(8080);
for await (const event of watcher) if (event.kind === "broken") console.error(event.error.diagnostics);
server.close();
await gateway.close();
