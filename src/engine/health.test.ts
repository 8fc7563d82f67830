import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { probe } from "./health.ts";

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
