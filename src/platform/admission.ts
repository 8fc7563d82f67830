/** The controllers' own valves: requests to the API, changes, deploys. What turns a valve always passes. */
import type { Control } from "../api/api.ts";
import type { Reason, Valve } from "../flow/flow.ts";
import type { ProcessValves } from "./valves.ts";

export function createAdmission(valves: ProcessValves): Control["admit"] {
  const requests = valves.get("api.requests");
  const writes = valves.get("api.writes");
  const deploys = valves.get("api.deploys");
  const pass = (valve: Valve) => {
    const reason: Reason | undefined = valve.enter();
    if (reason !== undefined) throw valve.rejection(reason);
    valve.leave();
  };
  return (kind) => {
    if (kind === "valve") return;
    pass(requests);
    if (kind !== "read") pass(writes);
    if (kind === "deploy") pass(deploys);
  };
}
