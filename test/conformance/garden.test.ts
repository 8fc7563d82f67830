/**
 * A garden of servers behind the router: whatever passes is one request to each of them. Bodies hold what looks
 * like another request; a server that saw one there would answer it in place of the next, on the same connection.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchProcess, startProcess } from "../../bench/process.ts";
import { findPython } from "../../scripts/fuzz-h11.ts";
import { Rig, toInstance, until } from "../../src/mesh/harness.ts";

const PATH = `${process.env.PATH}:/usr/sbin`;
const folder = mkdtempSync(join(tmpdir(), "nines-garden-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Server {
  readonly name: string;
  readonly program: string | null | undefined;
  command(port: number): readonly string[];
}

/** Each answers 200 with the path, whatever it is asked. */
const servers: readonly Server[] = [
  {
    name: "nginx",
    program: Bun.which("nginx", { PATH }),
    command(port) {
      const file = join(folder, "nginx.conf");
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join(" ");
      writeFileSync(
        file,
        `daemon off; master_process off; user root; pid ${folder}/nginx.pid; error_log ${folder}/nginx.error;
events {} http { access_log off; ${temporary}
server { listen 127.0.0.1:${port}; location / { return 200 $request_uri; } } }`,
      );
      return ["nginx", "-c", file];
    },
  },
  {
    name: "haproxy",
    program: Bun.which("haproxy", { PATH }),
    command(port) {
      const file = join(folder, "haproxy.cfg");
      writeFileSync(
        file,
        `defaults
  mode http
  timeout client 5s
frontend web
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain lf-string "%[pathq]"
`,
      );
      return ["haproxy", "-db", "-f", file];
    },
  },
  {
    name: "caddy",
    program: Bun.which("caddy", { PATH }),
    command(port) {
      const file = join(folder, "Caddyfile");
      writeFileSync(
        file,
        `{\n  admin off\n  auto_https off\n}\nhttp://:${port} {\n  bind 127.0.0.1\n  respond "{http.request.uri}"\n}\n`,
      );
      return ["caddy", "run", "--config", file, "--adapter", "caddyfile"];
    },
  },
  {
    name: "node",
    program: Bun.which("node", { PATH }),
    command: (port) => [
      "node",
      "-e",
      `require("http").createServer((q, a) => q.resume().on("end", () => a.end(q.url))).listen(${port}, "127.0.0.1")`,
    ],
  },
  {
    name: "h11",
    program: findPython(),
    command: (port) => [findPython() ?? "", "test/conformance/h11-server.py", String(port)],
  },
];

const poison = "GET /poison HTTP/1.1\r\nHost: shop.localhost\r\n\r\n";
const size = poison.length.toString(16);
const post = "POST /one HTTP/1.1\r\nHost: shop.localhost\r\n";

const requests: readonly [claim: string, text: string][] = [
  ["a counted body", `${post}Content-Length: ${poison.length}\r\n\r\n${poison}`],
  [
    "the length said twice",
    `${post}Content-Length: ${poison.length}\r\nContent-Length: ${poison.length}\r\n\r\n${poison}`,
  ],
  ["a length with a zero before it", `${post}Content-Length: 0${poison.length}\r\n\r\n${poison}`],
  ["a chunked body", `${post}Transfer-Encoding: chunked\r\n\r\n${size}\r\n${poison}\r\n0\r\n\r\n`],
  [
    "Chunked in another case",
    `${post}transfer-encoding:\tCHUNKED \r\n\r\n0${size}\r\n${poison}\r\n00\r\n\r\n`,
  ],
  ["extensions", `${post}Transfer-Encoding: chunked\r\n\r\n${size};a="b;c"\r\n${poison}\r\n0;z\r\n\r\n`],
  ["trailers", `${post}Transfer-Encoding: chunked\r\n\r\n${size}\r\n${poison}\r\n0\r\nX-Sum: 1\r\n\r\n`],
  ["GET with a body", `${post.replace("POST", "GET")}Content-Length: ${poison.length}\r\n\r\n${poison}`],
  ["an absolute target", `${post.replace("/one", "http://shop.localhost/one")}Content-Length: 0\r\n\r\n`],
  [
    "headers that Connection names",
    `${post}Connection: x-a, keep-alive\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n`,
  ],
  ["an upgrade to HTTP/2", `${post}Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n`],
  ["an underscored length", `${post}Content_Length: 5\r\nContent-Length: 0\r\n\r\n`],
  ["HTTP/1.0", `${post.replace("1.1", "1.0")}Connection: keep-alive\r\nContent-Length: 0\r\n\r\n`],
];

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

for (const { name, program, command } of servers) {
  test.skipIf(!program)(`${name} sees one request, and then the next`, async () => {
    const port = await freePort();
    const env = { PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    const log = join(folder, `${name}.log`);
    await using server: BenchProcess = await startProcess({
      command: command(port),
      env,
      log,
      core: undefined,
      port,
    });
    await using rig = new Rig();
    rig.report(toInstance("1", server.port));
    for (const [claim, text] of requests) {
      const client = await rig.client();
      client.send(text);
      await until(() => client.text.includes("/one"), `${claim}: an answer, not ${client.text}`);
      expect(client.text).toMatch(/^HTTP\/1\.1 200 /);
      client.send("GET /two HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n");
      await client.ends();
      expect(client.text.split("HTTP/1.1 200 ").length, `${claim}: ${client.text}`).toBe(3);
      expect(client.text, claim).toContain("/two");
      expect(client.text, claim).not.toContain("poison");
    }
  });
}
