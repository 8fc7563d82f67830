/** The valve `router.requests` as the mesh sees it: a gate for each app that has a limit, none for all others. */
import type { Gate } from "../mesh/mesh.ts";
import type { ProcessValves } from "./valves.ts";

const family = "router.requests";

/** The gate of an app; null while neither its valve nor its family's is turned. */
export function findGate({ valves }: ProcessValves, app: string): Gate | null {
  const name = `${family}@${app}`;
  if (valves.turned(family) === undefined && valves.turned(name) === undefined) return null;
  const valve = valves.define(name);
  return { enter: () => valve.enter(), leave: () => valve.leave() };
}
