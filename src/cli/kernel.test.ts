import { expect, test } from "bun:test";
import { toParts } from "./kernel.ts";

test("while the kernel is away, its last table is put right by who lives", () => {
  const row = { restarts: 2, since: "2026-01-01T00:00:00.000Z", state: "up" } as const;
  const last = [
    { ...row, name: "kernel", kind: "kernel", pid: 1 },
    { ...row, name: "agent", kind: "agent", pid: process.pid },
    { ...row, name: "router.2", kind: "router", pid: null, state: "stopped" },
  ] as const;
  const living = [
    { id: "agent", kind: "agent", pid: process.pid, startTime: 1 },
    { id: "broker.1", kind: "broker", pid: process.pid, startTime: 1, port: 7 },
  ] as const;
  expect(toParts(living, last)).toMatchObject([
    { name: "kernel", pid: null, state: "restarting", restarts: 2 },
    { name: "agent", pid: process.pid, state: "up", restarts: 2, since: row.since },
    { name: "router.2", pid: null, state: "stopped" },
    { name: "broker.1", pid: process.pid, state: "up", port: 7 },
  ]);
  expect(toParts([], last)).toEqual([]);
});
