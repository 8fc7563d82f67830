/** The kernel's face: HTTP on a socket that only this user can open. */
import { chmodSync, rmSync } from "node:fs";
import type { Supervisor } from "../supervisor/supervisor.ts";
import type { PartStatus } from "../wire/part.ts";

export interface KernelFace {
  readonly parts: () => readonly PartStatus[];
  /** The supervisor that holds the part; undefined when there is no such part, or its group cools off. */
  readonly supervisorOf: (part: string) => Supervisor | undefined;
  readonly down: () => void;
  /** Starts what was held back until now. */
  readonly rest: () => void;
}

export async function serveKernel(socket: string, face: KernelFace): Promise<{ stop(): Promise<void> }> {
  rmSync(socket, { force: true });
  const turns = new WeakMap<Supervisor, Promise<unknown>>();
  /** One command of a group at a time: two routers that drain at once would leave nobody to listen. */
  const inTurn = (supervisor: Supervisor, run: () => Promise<Response>): Promise<Response> => {
    const turn = (turns.get(supervisor) ?? Promise.resolve()).then(run, run);
    turns.set(supervisor, turn);
    return turn;
  };
  const server = Bun.serve({
    unix: socket,
    // A router that drains is silent for longer than the default of ten seconds; the types know it for TCP alone.
    ...({ idleTimeout: 0 } as object),
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      if (request.method === "GET" && pathname === "/parts") return Response.json(face.parts());
      if (request.method === "POST" && pathname === "/down") {
        face.down();
        return Response.json({ message: "stopping" });
      }
      if (request.method === "POST" && pathname === "/rest") {
        face.rest();
        return Response.json({ message: "starting" });
      }
      const [, id, verb] = /^\/parts\/([\w.]+)\/(stop|start|restart)$/.exec(pathname) ?? [];
      if (request.method !== "POST" || id === undefined)
        return refuse(404, `no such call: ${request.method} ${pathname}`);
      const supervisor = face.supervisorOf(id);
      if (supervisor === undefined) return refuse(404, `no such part, or its group cools off: ${id}`);
      return await inTurn(supervisor, () => command(supervisor, id, verb as "stop" | "start" | "restart"));
    },
  });
  chmodSync(socket, 0o600);
  return { stop: () => server.stop(true) };
}

async function command(
  supervisor: Supervisor,
  id: string,
  verb: "stop" | "start" | "restart",
): Promise<Response> {
  if (verb !== "start") {
    const stopped = await supervisor.terminateChild(id);
    if (stopped.kind === "not_found") return refuse(404, `no such part: ${id}`);
    if (verb === "stop") return Response.json({ message: `${id} stopped` });
  }
  const started = await supervisor.restartChild(id);
  if (started.kind === "failed") return refuse(500, `${id} did not start: ${started.error.message}`);
  if (started.kind === "not_found") return refuse(404, `no such part: ${id}`);
  return Response.json({ message: `${id} ${started.kind}` });
}

function refuse(status: number, message: string): Response {
  return Response.json({ message }, { status });
}
