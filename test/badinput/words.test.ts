/** Wrong words: commands, flags, apps, Procfiles, manifests, uploads and tokens. Each is refused by name, and nothing dies of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { type Platform, startPlatform, until } from "../harness.ts";

const limitMs = 120_000;
let platform: Platform;
let parts: string;

beforeAll(async () => {
  platform = await startPlatform();
  parts = await pids();
}, limitMs);

afterAll(async () => {
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test(
  "an unknown command is refused, and the nearest one is named",
  async () => {
    const ran = await platform.nines("delpoy");
    expect(ran.code).toBe(64);
    expect(ran.stderr).toContain("delpoy");
    expect(ran.stderr).toContain("deploy");
  },
  limitMs,
);

test(
  "an unknown flag is refused",
  async () => {
    const ran = await platform.nines("ps", "--jsno");
    expect(ran.code).toBe(64);
    expect(ran.stderr).toContain("--jsno");
  },
  limitMs,
);

for (const args of [
  ["ps"],
  ["scale", "web=2"],
  ["config:set", "A=1"],
  ["rollback"],
  ["logs"],
  ["run", "true"],
  ["restart"],
]) {
  test(
    `${args[0]} of an unknown app names the app`,
    async () => {
      const [command = "", ...rest] = args;
      const ran = await platform.nines(command, "-a", "nobody", ...rest);
      expect(ran.code).not.toBe(0);
      expect(ran.stderr).toContain("nobody");
    },
    limitMs,
  );
}

const procfiles: readonly (readonly [string, string | undefined, RegExp])[] = [
  ["a missing Procfile", undefined, /Procfile/],
  ["an empty Procfile", "", /Procfile/],
  ["a Procfile of comments", "# nothing\n\n", /Procfile/],
  ["a line without a colon", "web: node a.js\nworker node b.js\n", /Procfile:2:\d+/],
  ["a type without a command", "web:\n", /Procfile:1:\d+/],
  ["a bad type", "we b: node a.js\n", /Procfile:1:\d+/],
  ["the same type twice", "web: a\nweb: b\n", /Procfile:2:\d+/],
];
for (const [what, content, says] of procfiles) {
  test(
    `${what} is refused with its place`,
    async () => {
      const source = platform.app(`procfile-${what.replaceAll(/\W/g, "-")}`, {
        "server.js": "",
        ...(content === undefined ? {} : { Procfile: content }),
      });
      const ran = await platform.nines("deploy", source, "-a", "words");
      expect(ran.code).toBe(65);
      expect(ran.stderr).toMatch(says);
    },
    limitMs,
  );
}

const manifests: readonly (readonly [string, string, RegExp])[] = [
  ["broken YAML", "health: [1\n", /nines\.yaml:\d+:\d+/],
  ["an unknown key", "heatlh: /\n", /nines\.yaml:1:1.*heatlh.*health/s],
  ["a wrong type", "scale: {web: many}\n", /nines\.yaml:1:\d+/],
  ["a wrong duration", "build: a\nboot_timeout: soon\n", /nines\.yaml:2:\d+/],
  ["a list instead of a map", "- web\n", /nines\.yaml:1:1/],
];
for (const [what, content, says] of manifests) {
  test(
    `nines.yaml with ${what} is refused with its place`,
    async () => {
      const source = platform.app(`manifest-${what.replaceAll(/\W/g, "-")}`, {
        Procfile: "web: true\n",
        "nines.yaml": content,
      });
      const ran = await platform.nines("deploy", source, "-a", "words");
      expect(ran.code).toBe(65);
      expect(ran.stderr).toMatch(says);
    },
    limitMs,
  );
}

test(
  "a folder that is not there is refused",
  async () => {
    const ran = await platform.nines("deploy", "/no/such/folder", "-a", "words");
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain("/no/such/folder");
  },
  limitMs,
);

test(
  "what was refused has made no app",
  async () => {
    const ran = await platform.must("apps", "--json");
    expect(ran.stdout).not.toContain("words");
  },
  limitMs,
);

test(
  "a missing token is refused with 401, a wrong one too, and the CLI exits 77",
  async () => {
    const url = `http://127.0.0.1:${platform.apiPort}/v1/apps`;
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { Authorization: "Bearer wrong" } })).status).toBe(401);
    const ran = await platform.run(["apps"], { env: { NINES_TOKEN: "wrong" } });
    expect(ran.code).toBe(77);
    expect(ran.stderr).toContain("token");
  },
  limitMs,
);

test(
  "an upload that is cut off leaves nothing behind",
  async () => {
    const before = uploads();
    const socket = connect(platform.apiPort, "127.0.0.1");
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.write(`${head("cut", 1_000_000, "0".repeat(64))}${"x".repeat(300_000)}`);
    await Bun.sleep(300);
    socket.destroy();
    await until("the uploads are as before", 60_000, () => uploads().length === before.length);
    expect((await platform.must("apps", "--json")).stdout).not.toContain("cut");
  },
  limitMs,
);

test(
  "an upload that is not what its checksum says is refused",
  async () => {
    const before = uploads();
    expect(await upload("liar", 5, "hello", "0".repeat(64))).toMatch(/^HTTP\/1.1 4\d\d /);
    await until("the uploads are as before", 60_000, () => uploads().join() === before.join());
  },
  limitMs,
);

test(
  "a 5 GB upload is refused with 413 before it is sent",
  async () => {
    expect(await upload("huge", 5 * 1024 ** 3, "", "0".repeat(64))).toMatch(/^HTTP\/1.1 413 /);
  },
  limitMs,
);

test(
  "a 5 GB upload that does not say how long it is ends at the limit",
  async () => {
    const before = uploads();
    const text = await flood("endless", 5 * 1024);
    expect(text).toMatch(/^HTTP\/1.1 413 |^$/);
    await until("the uploads are as before", 60_000, () => uploads().length === before.length);
  },
  limitMs,
);

test(
  "nothing of all this has restarted a part",
  async () => {
    expect(await pids()).toBe(parts);
  },
  limitMs,
);

async function pids(): Promise<string> {
  return (await platform.status()).map((part) => `${part.name} ${part.pid} ${part.restarts}`).join("\n");
}

function uploads(): string[] {
  return readdirSync(platform.home.uploads).toSorted();
}

function head(app: string, length: number | undefined, sha256: string): string {
  const token = readFileSync(platform.home.token, "utf8").trim();
  const framing = length === undefined ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`;
  return `POST /v1/apps/${app}/deploys HTTP/1.1\r\nHost: 127.0.0.1:${platform.apiPort}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/gzip\r\nNines-Content-Sha256: ${sha256}\r\n${framing}\r\n\r\n`;
}

/** Sends the head and what there is of a body; gives the answer as it came. */
function upload(app: string, length: number, body: string, sha256: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(platform.apiPort, "127.0.0.1");
    let text = "";
    socket.setTimeout(60_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.write(head(app, length, sha256) + body);
  });
}

/** Sends chunks of 1 MiB until it is answered, cut off, or all are gone. */
function flood(app: string, chunks: number): Promise<string> {
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), Buffer.alloc(1024 ** 2, 120), Buffer.from("\r\n")]);
  return new Promise((resolve) => {
    const socket = connect(platform.apiPort, "127.0.0.1");
    let text = "";
    let left = chunks;
    const send = () => {
      while (!socket.destroyed && left-- > 0) if (!socket.write(chunk)) return;
      if (left <= 0) socket.end("0\r\n\r\n");
    };
    socket.on("data", (data: Buffer) => {
      text += data.toString("latin1");
      socket.destroy();
    });
    socket.on("drain", send);
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
    socket.write(head(app, undefined, "0".repeat(64)));
    send();
  });
}
