import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../std/clock.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { serveKernel } from "./kernel-server.ts";

const pauseMs = 100;

test("two parts of one group are restarted one after the other, whoever asks", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-kernel-"));
  const steps: string[] = [];
  const group = {
    async terminateChild(id: string) {
      steps.push(`${id} stops`);
      await systemClock.sleep(pauseMs);
      return { kind: "terminated" };
    },
    async restartChild(id: string) {
      steps.push(`${id} starts`);
      return { kind: "started" };
    },
  } as unknown as Supervisor;
  const unix = join(folder, "kernel.sock");
  const server = await serveKernel(unix, {
    parts: () => [],
    supervisorOf: () => group,
    rest: () => {},
    down: () => {},
  });
  try {
    const restart = (id: string) => fetch(`http://kernel/parts/${id}/restart`, { method: "POST", unix });
    const replies = await Promise.all([restart("router.1"), restart("router.2")]);
    expect(replies.map((reply) => reply.status)).toEqual([200, 200]);
    const [first, second] =
      steps[0] === "router.1 stops" ? ["router.1", "router.2"] : ["router.2", "router.1"];
    expect(steps).toEqual([`${first} stops`, `${first} starts`, `${second} stops`, `${second} starts`]);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true });
  }
});
