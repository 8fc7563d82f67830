/**
 * Our router alone: the mesh with apps set by hand, its access log in a file. Instances are one that is given,
 * or what is reported on stdin, a JSON list of them a line.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { startMesh } from "../src/mesh/mesh.ts";
import type { Instance } from "../src/wire/messages.ts";

export interface NinesRouterOptions {
  readonly log: string;
  /** Port of the one instance of `bench`; without it instances are reported on stdin. */
  readonly target?: number;
  /** How many apps the route table has, `bench` among them. */
  readonly apps?: number;
  /** How many instances each of them has, all at `target`. */
  readonly instances?: number;
  readonly tls?: { readonly port: number; readonly cert: string; readonly key: string };
}

export const app = "bench";
const current = { release: 1, generation: 0 };

/** An instance of the app, as its agent would report it. */
export function toBenchInstance(index: number, changes: Partial<Instance>): Instance {
  return {
    ...current,
    id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    app,
    name: `web.${index}`,
    type: "web",
    host: "127.0.0.1",
    port: 1,
    pid: 1,
    state: "up",
    since: 0,
    attempts: 1,
    nextTryAt: 0,
    reason: "",
    ...changes,
  };
}

async function serve({ log, target, apps = 1, instances = 1, tls }: NinesRouterOptions): Promise<void> {
  const file = openSync(log, "a");
  const mesh = startMesh({
    host: "127.0.0.1",
    port: 0,
    reusePort: true,
    log: (lines) => writeSync(file, lines),
    onFault: (error) => console.error(error),
  });
  const record = { current, hosts: [], maintenance: false, routing: {}, formationWeb: 1, hasRelease: true };
  const names = Array.from({ length: apps }, (_, at) => (at === 0 ? app : `${app}-${at}`));
  mesh.setApps(new Map(names.map((name) => [name, { ...record, name }])), 1);
  let seq = 0;
  const report = (instances: readonly Instance[]) =>
    mesh.applyInstances({ agent: "bench", seq: ++seq, complete: true, instances });
  if (target !== undefined) {
    const each = Array.from({ length: instances }, (_, at) => at);
    report(
      names.flatMap((name, at) =>
        each.map((one) => toBenchInstance(at * instances + one + 1, { app: name, port: target })),
      ),
    );
  }
  if (tls !== undefined) {
    await mesh.listenSecure(tls.port);
    const pair = { cert: readFileSync(tls.cert, "utf8"), key: readFileSync(tls.key, "utf8") };
    mesh.setCertificates(new Map([["bench.localhost", pair]]), (host, reason) =>
      console.error(`${host}: ${reason}`),
    );
  }
  console.log(mesh.port);
  if (target === undefined)
    for await (const line of createInterface({ input: process.stdin })) report(JSON.parse(line));
}

if (import.meta.main) await serve(JSON.parse(process.argv[2] ?? "{}"));
