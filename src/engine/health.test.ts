import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { probe, starvedMsMax } from "./health.ts";

test("a probe tells apart every way to be unhealthy", async () => {
  const answers: Record<string, string | undefined> = {
    "/ok": "HTTP/1.1 204 No Content\r\n\r\n",
    "/moved": "HTTP/1.1 302 Found\r\n\r\n",
    "/odd": "SSH-2.0-nothing here\r\n",
    "/rude": "",
    "/mute": undefined,
  };
  const server = createServer((socket) =>
    socket.once("data", (bytes) => {
      const answer = answers[bytes.toString().split(" ")[1] ?? ""];
      if (answer !== undefined) socket.end(answer);
    }),
  ).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const ask = async (path: string, to = port) => {
    const result = await probe({
      host: "127.0.0.1",
      port: to,
      path,
      app: "shop",
      timeoutMs: path === "/mute" ? 100 : 10_000,
    });
    return result.ok ? "ok" : result.reason;
  };
  expect(await ask("/ok")).toBe("ok");
  expect(await ask("/moved")).toBe("answered 302");
  expect(await ask("/odd")).toBe("did not answer HTTP");
  expect(await ask("/rude")).toBe("closed the connection without an answer");
  expect(await ask("/mute")).toBe("no answer within 100 ms");
  server.close();
  expect(await ask("/ok", 1)).toBe("connection refused");
});

test("time in which the process had no processor is not counted, and does not excuse it for ever", async () => {
  const server = createServer((socket) =>
    socket.once("data", (bytes) => {
      if (bytes.includes("/late")) setTimeout(() => socket.end("HTTP/1.1 200 OK\r\n\r\n"), 400);
    }),
  ).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const ask = (path: string, waitedMs: () => number | undefined) =>
    probe({ host: "127.0.0.1", port, path, app: "shop", timeoutMs: 100, waitedMs });
  const startedAt = performance.now();
  const starved = () => performance.now() - startedAt;
  expect(await ask("/late", starved)).toEqual({ ok: true });
  expect(await ask("/late", () => 7_000)).toMatchObject({ ok: false });
  expect(await ask("/late", () => undefined)).toMatchObject({ ok: false });
  const askedAt = performance.now();
  expect(await ask("/never", starved)).toMatchObject({ ok: false, reason: "no answer within 100 ms" });
  expect(performance.now() - askedAt).toBeGreaterThan(starvedMsMax);
  server.close();
});
