/** The kernel's twin: starts the next kernel when this one is dead or hangs; is itself restarted by the kernel. */
import type { Identity } from "../os/proc.ts";
import { startHeart } from "../supervisor/supervisor.ts";
import { livingPart } from "./kernel-client.ts";
import type { Main } from "./part.ts";
import { spawnKernel } from "./spawn.ts";

const announceTimeoutMs = 10_000;

export const heart: Main = async ({ config, home, clock, log }) => {
  const find = (): Identity | undefined => {
    const kernel = livingPart(home, "kernel");
    return kernel === undefined ? undefined : { pid: kernel.pid, startTime: kernel.startTime };
  };
  const running = startHeart({
    clock,
    chance: Math.random,
    find,
    beat: { path: home.beat("kernel") },
    // Stopped last in an orderly shutdown: a kernel that dies while this process lives was killed.
    isWanted: () => true,
    async restart() {
      const { pid } = spawnKernel(config);
      log.warn("kernel_started", { pid });
      const deadline = clock.now() + announceTimeoutMs;
      while (clock.now() < deadline) {
        const found = find();
        if (found !== undefined) return found;
        await clock.sleep(5);
      }
      throw new Error(`no kernel has announced itself within ${announceTimeoutMs} ms`);
    },
    onEvent: (event) => {
      const { kind, ...fields } = event;
      if ("error" in fields) log.error(kind, { message: fields.error.message });
      else log.info(kind, fields);
    },
  });
  return { stop: async () => running[Symbol.asyncDispose]() };
};
