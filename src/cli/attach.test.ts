import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runFrames } from "../wire/api.ts";

/** The far end of an attached run: `sh -c COMMAND` on this machine, in the frames of wire/api.ts. */
interface Data {
  readonly command: string;
  shell?: Bun.Subprocess<"pipe", "pipe", "pipe">;
}

const home = mkdtempSync(join(tmpdir(), "nines-attach-"));
let server: Bun.Server<Data>;

beforeAll(() => {
  server = Bun.serve<Data>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const { pathname, searchParams } = new URL(request.url);
      const token = request.headers.get("authorization");
      if (token === "Bearer viewer" && pathname.endsWith("/run")) {
        return Response.json({ code: "forbidden", message: "a viewer runs nothing" }, { status: 403 });
      }
      if (token !== "Bearer secret" && token !== "Bearer viewer") {
        return Response.json({ code: "unauthorized", message: "wrong token" }, { status: 401 });
      }
      if (pathname !== "/v1/apps/shop/run")
        return Response.json({ release: pathname.endsWith("new") ? null : 3 });
      const command = searchParams.get("command") ?? "";
      return server.upgrade(request, { data: { command } }) ? undefined : new Response("", { status: 400 });
    },
    websocket: {
      async open(socket) {
        if (socket.data.command === "drop") return socket.close(1011, "the agent went away");
        const shell = Bun.spawn(["sh", "-c", socket.data.command], {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "pipe",
        });
        socket.data.shell = shell;
        const pass = async (from: ReadableStream<Uint8Array>, kind: number) => {
          for await (const chunk of from) socket.sendBinary(Buffer.concat([Buffer.of(kind), chunk]));
        };
        await Promise.all([pass(shell.stdout, runFrames.stdout), pass(shell.stderr, runFrames.stderr)]);
        const exit = JSON.stringify({ code: await shell.exited });
        socket.sendBinary(Buffer.concat([Buffer.of(runFrames.exit), Buffer.from(exit)]));
      },
      message(socket, message) {
        const frame = Buffer.from(message as Buffer);
        if (frame[0] !== runFrames.stdin) return;
        if (frame.length === 1) void socket.data.shell?.stdin.end();
        else socket.data.shell?.stdin.write(frame.subarray(1));
      },
    },
  });
});
afterAll(() => {
  server.stop(true);
  rmSync(home, { recursive: true, force: true });
});

async function nines(args: readonly string[], stdin = "", token = "secret") {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "cli.ts"), ...args], {
    env: { ...process.env, NINES_HOME: home, NINES_API_URL: server.url.origin, NINES_TOKEN: token },
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

test("output, errors and exit code are the command's own", async () => {
  const ran = await nines([
    "run",
    "-a",
    "shop",
    "--",
    "sh",
    "-c",
    'echo "out $1"; echo err >&2; exit 42',
    "-",
    "a b",
  ]);
  expect(ran).toEqual({ stdout: "out a b\n", stderr: "err\n", code: 42 });
});

test("input goes through to its end, and a flood of output arrives whole", async () => {
  const input = "0123456789abcdef".repeat(20_000);
  const ran = await nines(["run", "-a", "shop", "cat; head -c 3000000 /dev/zero | tr '\\0' x"], input);
  expect(ran.code).toBe(0);
  expect(ran.stdout.slice(0, input.length)).toBe(input);
  expect(ran.stdout.length).toBe(input.length + 3_000_000);
});

test("a line that breaks is no success", async () => {
  const ran = await nines(["run", "-a", "shop", "drop"]);
  expect(ran.code).toBe(69);
  expect(ran.stderr).toContain("the line to the command broke: the agent went away");
});

test("what is wrong is said before anything runs", async () => {
  expect(await nines(["run", "-a", "new", "ls"])).toMatchObject({ code: 1 });
  const wrong = await nines(["run", "-a", "shop", "ls"], "", "other");
  expect(wrong.code).toBe(77);
  expect(wrong.stderr).toContain("wrong token");
  const refused = await nines(["run", "-a", "shop", "ls"], "", "viewer");
  expect(refused.stderr).toContain("a viewer runs nothing");
  expect(refused.stderr).not.toContain("could not be started");
  expect(refused.code).toBe(77);
});
