import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { readListeners, readSockets } from "./listener.ts";
import { isFree, Ports, restMs } from "./ports.ts";

test("a port is not used twice within five minutes, unless all were", () => {
  let next = 0;
  const ports = new Ports({ from: 1, to: 3 }, () => (next++ % 3) + 1);
  const free = () => true;
  expect([ports.take(0, free), ports.take(0, free)]).toEqual([1, 2]);
  ports.release(1, 10);
  expect(ports.take(20, free)).toBe(3);
  ports.release(2, 30);
  expect(ports.take(40, free)).toBe(1);
  expect(() => ports.take(40, (port) => port !== 2)).toThrow("no free port from 1 to 3");
  expect(ports.take(30 + restMs, free)).toBe(2);
});

test("a port that somebody listens on is not given", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  expect(isFree(port)).toBe(false);
  const listener = readListeners().find((one) => one.port === port);
  expect(listener?.host).toBe("127.0.0.1");
  expect(readSockets(process.pid)).toContain(listener?.inode ?? "none");
  server.close();
});
