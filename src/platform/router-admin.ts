/** A router's own socket: what it measures, for whoever may read the home folder. */
import { chmodSync, rmSync } from "node:fs";
import type { Server } from "bun";
import type { Mesh } from "../mesh/mesh.ts";

/** Answers GET /metrics with Prometheus text. */
export function serveRouterAdmin(path: string, mesh: Mesh): Server<undefined> {
  // A socket that a killed predecessor left is in the way of ours.
  rmSync(path, { force: true });
  const server = Bun.serve({
    unix: path,
    fetch: ({ url, method }) => {
      if (method !== "GET" || new URL(url).pathname !== "/metrics") {
        return new Response("there is GET /metrics\n", { status: 404 });
      }
      return new Response(mesh.exposition(), {
        headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    },
  });
  chmodSync(path, 0o600);
  return server;
}
