import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { always, get, ok, once, Rig, startBackend, until } from "./harness.ts";
import type { Certificate } from "./mesh.ts";

const folder = mkdtempSync(join(tmpdir(), "nines-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Signed by itself; `serial` tells two of the same host apart. */
function makeCertificate(host: string, serial = 1): Certificate {
  const [key, cert] = ["key", "crt"].map((kind) => join(folder, `${serial}.${kind}`)) as [string, string];
  const made = Bun.spawnSync(
    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"].concat(
      ["-keyout", key, "-out", cert, "-days", "2", "-subj", `/CN=${host}`, "-set_serial", String(serial)],
      ["-addext", `subjectAltName=DNS:${host}`],
    ),
    { stderr: "ignore" },
  );
  expect(made.exitCode).toBe(0);
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

async function connectSecure(port: number, servername: string, more: tls.ConnectionOptions = {}) {
  const socket = tls.connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false, ...more });
  let text = "";
  let isEnded = false;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    isEnded = true;
  });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return {
    socket,
    get text() {
      return text;
    },
    get isEnded() {
      return isEnded;
    },
    sees: (what: string) => until(() => text.includes(what), `${what} in ${text}`),
  };
}

const refuse = (host: string, reason: string): void => {
  throw new Error(`${host}: ${reason}`);
};

test("each host has its certificate, a wildcard the names below, and a stranger any", async () => {
  await using rig = new Rig();
  const port = await rig.mesh.listenSecure(0);
  const hosts = ["a.example", "*.b.example"];
  rig.mesh.setCertificates(
    new Map(hosts.map((host, index) => [host, makeCertificate(host, index + 1)])),
    refuse,
  );
  for (const [asked, shown] of [
    ["a.example", "a.example"],
    ["A.EXAMPLE", "a.example"],
    ["x.b.example", "*.b.example"],
    ["other.example", "a.example"],
  ] as const) {
    const { socket } = await connectSecure(port, asked);
    expect(String(socket.getPeerCertificate().subject.CN)).toBe(shown);
    socket.destroy();
  }
});

test("a request with TLS is one like any other, and says so", async () => {
  await using backend = await startBackend(once(ok));
  await using rig = new Rig();
  rig.up(backend);
  rig.app({ routing: { hstsSeconds: 600, sticky: true } });
  const port = await rig.mesh.listenSecure(0);
  rig.mesh.setCertificates(new Map([["shop.localhost", makeCertificate("shop.localhost")]]), refuse);
  const client = await connectSecure(port, "shop.localhost");
  client.socket.write(get());
  await client.sees("\r\n\r\nok");
  expect(client.text).toContain("Strict-Transport-Security: max-age=600\r\n");
  expect(client.text).toContain("SameSite=Lax; Secure\r\n");
  expect(backend.text).toContain(`X-Forwarded-Proto: https\r\nX-Forwarded-Port: ${port}\r\n`);
  expect(await rig.logged("status=200")).toContain("protocol=https");
  client.socket.destroy();
});

test("a new certificate is for new connections, and drops none; a bad one changes nothing", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const port = await rig.mesh.listenSecure(0);
  const serialOf = async () => {
    const { socket } = await connectSecure(port, "shop.localhost");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return Number.parseInt(serialNumber, 16);
  };
  const show = (certificate: Certificate, onBad = refuse) =>
    rig.mesh.setCertificates(new Map([["shop.localhost", certificate]]), onBad);
  show(makeCertificate("shop.localhost", 7));
  const client = await connectSecure(port, "shop.localhost");
  client.socket.write(get());
  await client.sees("\r\n\r\nok");
  show(makeCertificate("shop.localhost", 8));
  expect(await serialOf()).toBe(8);
  const bad: string[] = [];
  show({ cert: "no certificate", key: "no key" }, (host) => void bad.push(host));
  expect(bad).toEqual(["shop.localhost"]);
  expect(await serialOf()).toBe(8);
  client.socket.write(get());
  await until(() => client.text.split("\r\n\r\nok").length === 3, "the second answer");
  client.socket.destroy();
});

test("TLS below 1.2, plain text, and no certificate at all end the connection, and nothing else", async () => {
  await using rig = new Rig();
  const port = await rig.mesh.listenSecure(0);
  await expect(connectSecure(port, "shop.localhost")).rejects.toThrow();
  rig.mesh.setCertificates(new Map([["shop.localhost", makeCertificate("shop.localhost")]]), refuse);
  await expect(
    connectSecure(port, "shop.localhost", { maxVersion: "TLSv1.1", minVersion: "TLSv1" }),
  ).rejects.toThrow();
  const plain = await new Promise<string>((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(get()));
    socket.on("error", () => resolve("closed")).on("close", () => resolve("closed"));
  });
  expect(plain).toBe("closed");
  (await connectSecure(port, "shop.localhost")).socket.destroy();
});

test("large bodies pass with TLS, both ways, and a slow reader holds its instance back", async () => {
  const size = 24 * 1_048_576;
  let sent = 0;
  await using backend = await startBackend((connection) => {
    if (connection.bytes < 1_000_000 || sent > 0) return;
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const more = () => {
      while (sent < size) {
        sent += 65_536;
        if (!connection.socket.write(Buffer.alloc(65_536, "x")))
          return void connection.socket.once("drain", more);
      }
    };
    more();
  }, false);
  await using rig = new Rig();
  rig.up(backend);
  const port = await rig.mesh.listenSecure(0);
  rig.mesh.setCertificates(new Map([["shop.localhost", makeCertificate("shop.localhost")]]), refuse);
  const client = await connectSecure(port, "shop.localhost");
  let bytes = 0;
  client.socket.removeAllListeners("data");
  client.socket.pause();
  client.socket.write(
    get().replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 1000000\r\n\r\n"),
  );
  client.socket.write(Buffer.alloc(1_000_000, "y"));
  await until(() => sent > 0, "a start");
  let seen = -1;
  while (seen !== sent) {
    seen = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(sent).toBeLessThan(size);
  client.socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  client.socket.resume();
  await until(() => bytes > size, "the whole");
  client.socket.destroy();
}, 240_000);

test("an app may send what comes without TLS to the same address with it", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  rig.app({ routing: { httpsRedirect: true } });
  expect(await rig.ask(get())).toContain("200 OK");
  const port = await rig.mesh.listenSecure(0);
  const answer = await rig.ask(get("/a?b"));
  expect(answer).toStartWith("HTTP/1.1 301 Moved Permanently\r\n");
  expect(answer).toContain(`Location: https://shop.localhost:${port}/a?b\r\n`);
  expect(await rig.ask(get().replace("GET", "DELETE"))).toStartWith("HTTP/1.1 308 ");
  rig.mesh.setCertificates(new Map([["shop.localhost", makeCertificate("shop.localhost")]]), refuse);
  const client = await connectSecure(port, "shop.localhost");
  client.socket.write(get());
  await client.sees("200 OK");
  client.socket.destroy();
});

test("a draining router ends its secure connections in order, and takes no new ones", async () => {
  await using backend = await startBackend(always(ok));
  await using rig = new Rig();
  rig.up(backend);
  const port = await rig.mesh.listenSecure(0);
  rig.mesh.setCertificates(new Map([["shop.localhost", makeCertificate("shop.localhost")]]), refuse);
  const client = await connectSecure(port, "shop.localhost");
  client.socket.write(get());
  await client.sees("\r\n\r\nok");
  await rig.mesh.drain(60_000);
  await until(() => client.isEnded, "its end");
  await expect(connectSecure(port, "shop.localhost")).rejects.toThrow();
});
