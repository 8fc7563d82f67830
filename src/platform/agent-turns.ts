/** The valves `agent.launches` and `agent.replacements` as the engine sees them. */
import type { Turns } from "../engine/engine.ts";
import { Rejection } from "../flow/flow.ts";
import type { Clock } from "../std/clock.ts";
import type { ProcessValves } from "./valves.ts";

export function createTurns(valves: ProcessValves, clock: Clock): Turns {
  const launches = valves.get("agent.launches");
  const replacements = valves.get("agent.replacements");
  /** A launch that was refused is still wanted: it comes again, for as long as it is. */
  const wait = async (signal: AbortSignal) => {
    for (;;) {
      try {
        (await launches.acquire({ signal })).release("ok");
        return;
      } catch (error) {
        if (!(error instanceof Rejection)) throw error;
        await clock.sleep(error.retryAfterMs, signal);
      }
    }
  };
  return {
    launch(signal) {
      if (launches.judge() !== undefined) return wait(signal);
      launches.enter();
      launches.leave();
      return undefined;
    },
    mayReplace() {
      if (replacements.enter() !== undefined) return false;
      replacements.leave();
      return true;
    },
  };
}
