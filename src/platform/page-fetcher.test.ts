import { expect, test } from "bun:test";
import { fetchPage } from "./page-fetcher.ts";

function startPages() {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/gone") return new Response("no", { status: 404 });
      return new Response(pathname === "/large" ? "x".repeat(1_000_000) : "<p>über");
    },
  });
}

test("a page comes as text; one that is too large, missing or unreachable is an error", async () => {
  const server = startPages();
  const at = `http://127.0.0.1:${server.port}`;
  expect(await fetchPage(`${at}/page`, 65_536)).toBe("<p>über");
  await expect(fetchPage(`${at}/large`, 65_536)).rejects.toThrow("more than 65536 bytes");
  await expect(fetchPage(`${at}/gone`, 65_536)).rejects.toThrow("404");
  await server.stop(true);
  await expect(fetchPage(`${at}/page`, 65_536)).rejects.toThrow();
});
